"""Benchmark of a round: candidates at the same time on a thread each, against one by one on all threads."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from expand.bench.harness import Comparison, Figures, alternate
from expand.bench.jobs import first_round, prepared, train_all
from expand.config.options import build_config
from expand.config.search import Config
from expand.system.cores import cores
from expand.system.errors import UserError
from expand.workers import open_workers

# Sizes of the start network in pixels: the default search's, a larger one, and X2D's.
SIZES = (32, 64, 112)
CLIPS = 256  # training budget of a candidate


def measure_workers(*, rounds: int) -> Figures:
    """Measure the seconds of the first round of a search, for several sizes of the start network.

    Raises:
        UserError: the machine has only one core.
    """
    count = cores()
    if count < 2:
        raise UserError(
            f"bench workers must have 2 cores at least to share out, got {count}: "
            "run it where there are more."
        )
    rows = []
    for size in SIZES:
        ready = prepared(_config(size))
        jobs = first_round(ready.setup)
        with tempfile.TemporaryDirectory() as name, open_workers(count) as many, open_workers(1) as one:
            folder = Path(name)
            calls = {
                f"{count} × 1 thread": partial(train_all, many, jobs, ready, 1, folder),
                f"1 × {count} threads": partial(train_all, one, jobs, ready, count, folder),
            }
            timings = alternate(calls, rounds=rounds, scale=1.0)
        rows.append(
            Comparison(name=f"{len(jobs)} candidates at {size}²", timings=timings, baseline=list(calls)[1])
        )
    settings = {"rounds": rounds}
    return Figures(benchmark="workers round", unit="s a round", rows=rows, settings=settings)


def _config(size: int) -> Config:
    return build_config(
        None,
        data=None,
        targets=("1G",),
        settings={
            "space.settings.size": size,
            "training.clips": CLIPS,
            "training.epochs": None,
            "data.synthetic": {"train": 64, "val": 32},
        },
    )
