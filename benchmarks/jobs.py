"""Real trainings for benchmarks: the jobs of a round of a search, without the search around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from expand.config import Config
from expand.data.cache import Progress
from expand.driver import Prepared, decode, plan
from expand.forecast import Clock
from expand.jobs import Failure, Job, Place, Result, read_result, write_job
from expand.search import Scored
from expand.setup import RoundJobs, Setup
from expand.study import Run
from expand.workers import Task, Workers


class Quiet:
    """A View that shows nothing."""

    def caching(self, progress: Progress) -> None: ...

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None: ...

    def round(self, jobs: RoundJobs, results: Mapping[str, Result]) -> None: ...

    def finished(self, job: Job, result: Result) -> None: ...


def prepared(config: Config) -> Prepared:
    """A search whose videos are decoded."""
    return decode(plan(config), Quiet())


def first_round(setup: Setup) -> list[Job]:
    """The trainings of the first round with candidates to choose from."""
    search = setup.search()
    next(search)
    candidates = search.send([Scored(top1=0.5)]).candidates
    return [job for candidate in candidates for job in setup.jobs(candidate, [None])]


def train_all(workers: Workers, jobs: Sequence[Job], ready: Prepared, threads: int, folder: Path) -> None:
    """Do the jobs in fresh folders under `folder`.

    Raises:
        RuntimeError: one failed.
    """
    place = Place(
        cache=str(ready.cached.folder), device=ready.machine.device, threads=threads, keep_weights=False
    )
    folders = [folder / job.key for job in jobs]
    for job, each in zip(jobs, folders, strict=True):
        (each / "result.json").unlink(missing_ok=True)
        write_job(each, job, place)
    for ended in workers.run([Task(each) for each in folders]):
        result = read_result(ended.folder)
        if result is None or isinstance(result, Failure):
            raise RuntimeError(f"a training of the benchmark failed: {result}")
