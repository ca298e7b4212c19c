"""Benchmark of a search's overhead around its trainings: planning, the study, job folders, scheduling."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from expand.bench.harness import Comparison, Figures, alternate
from expand.bench.jobs import Quiet, prepared, train_all
from expand.bench.stairs import FLIGHT, SPACE, TRAINER, targets
from expand.config.options import build_config
from expand.jobs.job import Job, Result
from expand.run.driver import drive
from expand.run.preparation import Prepared
from expand.run.study import Run
from expand.search.forecast import Speed
from expand.workers import open_workers

LIMIT = 20.0  # milliseconds a candidate

CANDIDATES = 1_000
WORKERS = 4
SAMPLED_AT = (0.1, 0.5, 1.0)  # when samples are taken, as shares of the candidates
_GROWTH = 0.05  # share by which memory may grow from the first to the last sample
_SPEED = Speed(fixed=1e-6, per_mac=1e-9)
_PROC = Path("/proc")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, for folders of our own


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The resources that the driver holds at a time.

    Attributes:
        memory: resident memory of this process, in bytes.
        workers: resident memory of its workers together, in bytes.
        files: number of files that this process has open.
    """

    memory: int
    workers: int
    files: int

    @classmethod
    def take(cls) -> Sample | None:
        """Take a sample from /proc; None on systems without it."""
        if not _PROC.exists():
            return None
        workers = [process.pid for process in multiprocessing.active_children()]
        return cls(
            memory=_resident("self"),
            workers=sum(_resident(str(pid)) for pid in workers),
            files=sum(1 for _ in (_PROC / "self" / "fd").iterdir()),
        )


class Watch(Quiet):
    """A SearchDisplay that keeps the jobs, and takes a sample after given numbers of candidates."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.jobs: list[Job] = []
        self.samples: dict[int, Sample | None] = dict.fromkeys(counts)

    def finished(self, job: Job, result: Result) -> None:  # noqa: ARG002 - of the contract
        self.jobs.append(job)
        if len(self.jobs) in self.samples:
            self.samples[len(self.jobs)] = Sample.take()


def measure_driver(*, rounds: int) -> Figures:
    """Measure the milliseconds per candidate of a search without trainings, against its jobs alone.

    The whole search is timed, from the start of its workers to its last model. As that includes the workers'
    time, a note gives the CPU time of the driver's process by itself. The run is in a folder in memory, if
    the system has one; a run on disk, where the driver waits until its writes are flushed, is timed too. The
    baseline is the same jobs, done by as many workers without a search. Starting the workers is included
    everywhere.
    """
    ready = prepare()
    turns: list[Watch] = []
    computed: list[float] = []

    def in_memory() -> None:
        before = time.process_time()
        turns.append(search(ready, _MEMORY if _MEMORY.is_dir() else None))
        computed.append(1e3 * (time.process_time() - before) / CANDIDATES)

    calls: dict[str, Callable[[], object]] = {
        "search": in_memory,
        "jobs alone": lambda: _alone(ready, turns[-1].jobs),
        "search on disk": partial(search, ready, None),
    }
    timings = alternate(calls, rounds=rounds, scale=1e3 / CANDIDATES, warm_up=0)
    row = Comparison(name=f"{CANDIDATES:,} by {WORKERS} workers", timings=timings, baseline="jobs alone")
    computes = f"the driver's process computes for {min(computed):.1f} ms a candidate"
    return Figures(
        benchmark="driver",
        unit="ms a candidate",
        rows=[row],
        settings={"rounds": rounds},
        limit=LIMIT,
        notes=[computes, *notes(turns[0].samples)],
    )


def prepare() -> Prepared:
    """A search of so many candidates, each done in no time."""
    settings = {
        "space.name": SPACE,
        "space.settings": {},
        "search.step": FLIGHT,
        "search.seeds": 1,
        "data.synthetic": {"train": 12, "val": 12, "size": 32},  # which nobody looks at
        "run.workers": WORKERS,
        "run.threads": 1,
    }
    return prepared(build_config(None, targets=targets(CANDIDATES), settings=settings))


def search(ready: Prepared, where: Path | None) -> Watch:
    """Run the whole search in a new folder under `where`, by default the folder of temporary files."""
    watch = Watch([round(share * CANDIDATES) for share in SAMPLED_AT])
    with tempfile.TemporaryDirectory(dir=where) as name:
        run = Run.create(Path(name) / "run", ready.setup.config, ready.setup.data)
        with run.locked():
            drive(run, ready, _SPEED, watch, trainer=TRAINER)
    assert len(watch.jobs) == CANDIDATES, f"the search came to {len(watch.jobs)} candidates"
    return watch


def _alone(ready: Prepared, jobs: Sequence[Job]) -> None:
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as name, open_workers(WORKERS, trainer=TRAINER) as workers:
        train_all(workers, jobs, ready, 1, Path(name))


def notes(samples: dict[int, Sample | None]) -> Iterator[str]:
    """Describe how memory and open files changed in the course of a search, a clause each."""
    first, *_, last = samples
    before, after = samples[first], samples[last]
    if before is None or after is None:
        yield "memory and open files are not known here"
        return
    span = f"from candidate {first:,} to {last:,}"
    for whose, start, end in (
        ("the driver's", before.memory, after.memory),
        ("its workers'", before.workers, after.workers),
    ):
        kept = _verdict(end <= (1 + _GROWTH) * start)
        yield f"{whose} memory {start / 1e6:.0f} → {end / 1e6:.0f} MB {span}, limit +{_GROWTH:.0%}: {kept}"
    kept = _verdict(after.files <= before.files)
    yield f"open files {before.files} → {after.files} {span}, limit +0: {kept}"


def _verdict(kept: bool) -> str:
    return "kept" if kept else "exceeded"


def _resident(process: str) -> int:
    pages = (_PROC / process / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
