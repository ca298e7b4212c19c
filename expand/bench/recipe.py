"""Measures the influence of the recipe of short trainings: one network, trained by several recipes."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from expand.bench.jobs import grown, place_of
from expand.config.search import Config
from expand.jobs.folder import read_result, write_job
from expand.jobs.job import Measurement
from expand.report.live_search import SearchView
from expand.run.preparation import decode, plan
from expand.search.setup import Setup
from expand.workers import Task, open_workers

# The settings in which each recipe differs from the configured one.
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"learning_rate": 0.0125, "gradient_clip": None},
    {"learning_rate": 0.05, "gradient_clip": None},
    {"learning_rate": 0.1},
    {"residual_start": 0.0},
    {"dropout": 0.5},
)


def measure_recipes(config: Config, axes: Sequence[str], view: SearchView) -> Iterator[dict[str, Any]]:
    """Yield a row for each recipe: top-1 of each seed, their mean, mean loss and mean seconds.

    Args:
        config: a search's configuration, with the recipe that is changed.
        axes: axes that the start is grown along first, by one step each.
        view: shows the progress of decoding.
    """
    prepared = decode(plan(config), view.caching)
    with tempfile.TemporaryDirectory() as name, open_workers(prepared.machine.workers) as workers:
        jobs = {}
        for number, change in enumerate(CHANGES):
            recipe = config.training.model_copy(update=change)
            setup = Setup.of(config.model_copy(update={"training": recipe}), prepared.setup.data)
            for training in setup.problem.trainings([grown(setup, axes)]):
                job = setup.job(training, None)
                folder = Path(name) / f"{number}-{job.seed}"
                write_job(folder, job, place_of(prepared))
                jobs[folder] = number
        results: dict[int, list[Measurement]] = {}
        for ended in workers.run([Task(folder) for folder in jobs]):
            result, number = read_result(ended.folder), jobs[ended.folder]
            if isinstance(result, Measurement):
                results.setdefault(number, []).append(result)
            if len(results.get(number, ())) == config.search.seeds:
                yield _row(CHANGES[number], results[number])


def _row(change: dict[str, Any], results: Sequence[Measurement]) -> dict[str, Any]:
    return {
        "change": ", ".join(f"{key} {value}" for key, value in change.items()) or "none",
        "top1": [round(result.score, 4) for result in results],
        "mean": statistics.mean(result.score for result in results),
        "loss": statistics.mean(result.loss for result in results),
        "seconds": statistics.mean(result.seconds for result in results),
    }
