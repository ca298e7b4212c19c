"""Small runs for tests: the toy space on a few synthetic clips, trained in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expand.config.search import Config
from expand.data.progress import StageProgress
from expand.jobs.job import Job, Result
from expand.run.driver import drive
from expand.run.preparation import Prepared, decode, plan
from expand.run.study import Run
from expand.search.base import Trajectory
from expand.search.forecast import Clock, Speed
from expand.search.replay import RoundJobs
from expand.search.setup import DataCard, FrameGrid, Setup

CLASSES = tuple("abcdefghijkl")
CARD = DataCard(
    name="synthetic",
    checksum="0" * 64,
    classes=CLASSES,
    train=24,
    val=12,
    val_counts=(1,) * 12,
    grids=(FrameGrid(short_side=40, fps=2.5),),
)
LEARNING = {"epochs": 5, "learning_rate": 0.5}  # with these settings of `training`, the toy networks learn
SPEED = Speed(fixed=1e-6, per_mac=1e-9)


def toy_config(cache: Path | None = None, **changes: Any) -> Config:
    """A configuration of the toy space; `changes` are sections."""
    values: dict[str, Any] = {
        "space": {"name": "tests.expand.toy:ToySpace", "settings": {}},
        "search": {"targets": [4_000]},
        "data": {
            "format": "synthetic",
            "synthetic": {"train": 24, "val": 12, "size": 32},
            "cache": {"folder": str(cache) if cache else None},
        },
        "training": {"epochs": 1, "batch_size": 8},
        "run": {"workers": 1, "threads": 1, "device": "cpu"},
    }
    for section, settings in changes.items():
        values[section] = {**values[section], **settings}
    return Config.model_validate(values)


def toy_setup(**changes: Any) -> Setup:
    return Setup.of(toy_config(**changes), CARD)


class Quiet:
    """A SearchDisplay that remembers which jobs were trained."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.restored: list[str] = []

    def caching(self, progress: StageProgress) -> None: ...

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None: ...

    def restoring(self, names: str) -> None:
        self.restored.append(names)

    def round(self, jobs: RoundJobs, results: Any) -> None: ...

    def finished(self, job: Job, result: Result) -> None:
        self.trained.append(job.key)


def prepared(config: Config) -> Prepared:
    return decode(plan(config), Quiet().caching)


def run_search(folder: Path, config: Config, view: Quiet | None = None) -> tuple[Run, Trajectory]:
    """A whole search into a new run folder."""
    ready = prepared(config)
    run = Run.create(folder, config, ready.setup.data)
    with run.locked():
        return run, drive(run, ready, SPEED, view or Quiet())
