"""Trains networks again whose weights are gone, for the candidates that are to grow from them.

Weights are kept while a search runs. They may still be gone: a run that is copied without its checkpoints
has the record of its trainings alone. A training is repeated from its own parent's weights, which may be gone
too. What was measured stays as it is in the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expand.jobs.folder import RESULT, WEIGHTS, read_result, write_job
from expand.jobs.job import Failure, Job, Place
from expand.run.study import Run
from expand.system.errors import RunFailed
from expand.workers import Task, Workers


def lost_generations(run: Run, jobs: Sequence[Job], known: Mapping[str, Job]) -> list[list[Job]]:
    """The trainings to repeat for the weights of `jobs`, in generations, of which each needs those before it.

    Args:
        run: the run folder.
        jobs: those whose weights are wanted, and gone.
        known: the jobs of the search by their keys. A parent that is none of them is what the search itself
            starts from.
    """
    generations: list[dict[str, Job]] = []
    for job in jobs:
        line = [job]
        while (parent := known.get(job.parent or "")) and not (run.job_folder(parent) / WEIGHTS).exists():
            job = parent
            line.append(job)
        for age, lost in enumerate(reversed(line)):
            if age == len(generations):
                generations.append({})
            generations[age][lost.key] = lost
    return [list(generation.values()) for generation in generations]


def train_again(run: Run, jobs: Sequence[tuple[Job, Place, float | None]], workers: Workers) -> None:
    """Repeat trainings for their weights; each comes with its place and its time limit in seconds.

    Raises:
        RunFailed: a training failed now, or its worker was lost.
    """
    tasks = []
    for job, place, limit in jobs:
        folder = run.job_folder(job)
        (folder / RESULT).unlink(missing_ok=True)
        write_job(folder, job, place)
        tasks.append(Task(folder, limit))
    for ended in workers.run(tasks):
        result = read_result(ended.folder)
        why = result.reason if isinstance(result, Failure) else ended.lost
        if why is not None:
            raise RunFailed(
                f"the weights in {ended.folder} are gone, and the training that had made them failed now: "
                f"{why}; put the folder checkpoints/ back, or search again."
            )
