"""Real trainings for benchmarks: jobs of a search, done by workers without the search around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from expand.config.search import Config
from expand.data.progress import StageProgress
from expand.jobs.folder import read_result, write_job
from expand.jobs.job import Failure, Job, Place, Result
from expand.run.preparation import Prepared, decode, plan
from expand.run.study import Run
from expand.search.axes import largest
from expand.search.base import Candidate, Scored, Training
from expand.search.forecast import Clock
from expand.search.replay import RoundJobs
from expand.search.setup import Setup
from expand.system.errors import UserError
from expand.workers import Task, Workers


class Quiet:
    """A SearchDisplay that shows nothing."""

    def caching(self, progress: StageProgress) -> None: ...

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None: ...

    def restoring(self, names: str) -> None: ...

    def round(self, jobs: RoundJobs, results: Mapping[str, Result]) -> None: ...

    def finished(self, job: Job, result: Result) -> None: ...


def prepared(config: Config) -> Prepared:
    """Plan a search and decode its videos."""
    return decode(plan(config), Quiet().caching)


def first_round(setup: Setup) -> list[Job]:
    """The trainings of the first round with candidates to choose from."""
    search = setup.strategy.search(setup.problem)
    first = next(search)
    round_ = search.send([Scored(score=0.5)] * len(first.trainings))
    return [
        setup.job(Training(candidate=one, seed=setup.config.search.seed), None) for one in round_.candidates
    ]


def grown(setup: Setup, axes: Sequence[str]) -> Candidate:
    """Grow the start along axes one after the other, each by one step of the search.

    Raises:
        UserError: the search has no axis of that name.
    """
    problem = setup.problem
    point = problem.start.point
    for axis in axes:
        if axis not in setup.axes:
            raise UserError(f"--grow must name an axis, one of {', '.join(setup.axes)}, got {axis!r}.")
        limit = setup.config.search.step * problem.cost_of(point)
        point = largest(problem, setup.axes[axis], point, limit) or point
    return problem.candidate("network", point)


def place_of(ready: Prepared) -> Place:
    """Return the cache, device and threads for trainings whose weights are not kept."""
    machine = ready.machine
    return Place(
        cache=str(ready.caches[0].folder), device=machine.device, threads=machine.threads, keep_weights=False
    )


def train_all(workers: Workers, jobs: Sequence[Job], ready: Prepared, threads: int, folder: Path) -> None:
    """Do the jobs in folders under `folder`, without results of earlier calls.

    Raises:
        RuntimeError: a training failed.
    """
    place = Place(
        cache=str(ready.caches[0].folder), device=ready.machine.device, threads=threads, keep_weights=False
    )
    folders = [folder / job.key for job in jobs]
    for job, each in zip(jobs, folders, strict=True):
        (each / "result.json").unlink(missing_ok=True)
        write_job(each, job, place)
    for ended in workers.run([Task(each) for each in folders]):
        result = read_result(ended.folder)
        if result is None or isinstance(result, Failure):
            raise RuntimeError(f"a training of the benchmark failed: {result}")
