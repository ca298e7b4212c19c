"""What a search costs around its trainings: planning, the study, job folders, processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness import Figures, Row, alternate
from benchmarks.jobs import Quiet, prepared, train_all
from expand.driver import Prepared, drive
from expand.forecast import Speed
from expand.jobs import Job, read_job
from expand.machine import cores
from expand.options import build_config
from expand.study import Run
from expand.workers import open_workers

_TARGET = "20M"
_SPEED = Speed(fixed=1e-6, per_mac=1e-9)


def measure_driver(*, rounds: int) -> Figures:
    """Seconds of a whole search whose trainings are two steps each, beside those trainings alone.

    With one worker, and with one a core. Alone means: the same jobs done by the same workers, which know
    nothing of a search. Starting the processes counts in both.
    """
    rows = []
    for workers in sorted({1, cores()}):
        config = build_config(
            None,
            data=None,
            targets=(_TARGET,),
            settings=(
                f"run.workers={workers}",
                "run.threads=1",
                "training.clips=32",
                "training.epochs=null",
                "data.synthetic={train: 32, val: 16}",
            ),
        )
        ready = prepared(config)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            jobs = _search(ready, folder / "jobs")
            calls: dict[str, Callable[[], object]] = {
                "search": partial(_search, ready, folder / "run"),
                "trainings": partial(_trainings, ready, workers, jobs, folder),
            }
            timings = alternate(calls, rounds=rounds, scale=1.0)
        rows.append(
            Row(
                name=f"{len(jobs)} trainings, {workers} at a time",
                timings=timings,
                baseline="trainings",
            )
        )
    return Figures(benchmark="driver", unit="s a search", rows=rows, settings={"rounds": rounds})


def _search(ready: Prepared, folder: Path) -> list[Job]:
    """A search into a new run folder; the jobs that it came to."""
    if folder.exists():
        shutil.rmtree(folder)
    run = Run.create(folder, ready.setup.config, ready.setup.data)
    with run.locked():
        drive(run, ready, _SPEED, Quiet())
    return [read_job(path.parent)[0] for path in sorted(folder.glob("checkpoints/*/job.json"))]


def _trainings(ready: Prepared, count: int, jobs: list[Job], folder: Path) -> None:
    with open_workers(count) as workers:
        train_all(workers, jobs, ready, 1, folder / "alone")
