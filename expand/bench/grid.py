"""Measures how the grid of cached frames affects a search: bytes of the cache, and accuracy of trainings."""

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
from expand.workers import Task, open_workers
from search_spaces.base import ClipSampling

OVERSAMPLING = (1.0, 2.0, 4.0, 1000.0)  # the last gives the finest possible grid, 30 frames a second
NETWORKS: tuple[tuple[str, ...], ...] = ((), ("fast",), ("temporal", "fast"))


def measure_grid(config: Config, view: SearchView) -> Iterator[dict[str, Any]]:
    """Yield a row for each grid and network: bytes of the cache, largest error in time, top-1 of each seed.

    The networks are the start, which has the longest stride, and the start grown along one and two axes of
    time.

    Args:
        config: the search's configuration; its targets determine the clips with the highest frame rate.
        view: shows the progress of decoding.
    """
    for oversampling in OVERSAMPLING:
        data = config.data.model_copy(update={"oversampling": oversampling})
        changed = config.model_copy(update={"data": data})
        prepared = decode(plan(changed), view.caching)
        setup = prepared.setup
        for axes in NETWORKS:
            network = grown(setup, axes)
            jobs = [setup.job(training, None) for training in setup.problem.trainings([network])]
            with tempfile.TemporaryDirectory() as name, open_workers(prepared.machine.workers) as workers:
                folders = [Path(name) / job.key for job in jobs]
                for folder, job in zip(folders, jobs, strict=True):
                    write_job(folder, job, place_of(prepared))
                results = [
                    read_result(ended.folder) for ended in workers.run([Task(each) for each in folders])
                ]
            scores = [result.score for result in results if isinstance(result, Measurement)]
            yield _row(
                oversampling,
                prepared.setup.data.grids[0].fps,
                prepared.caches[0].bytes,
                jobs[0].sampling,
                scores,
            )


def _row(
    oversampling: float, fps: float, size: int, sampling: dict[str, Any], scores: Sequence[float]
) -> dict[str, Any]:
    clip = ClipSampling(**sampling)
    return {
        "oversampling": oversampling,
        "fps": round(fps, 3),
        "bytes": size,
        "network": str(clip),
        "furthest": round(
            1 / (2 * fps) / clip.step_seconds, 4
        ),  # the largest error in time, in strides of the network's clips
        "top1": [round(score, 4) for score in scores],
        "mean": round(statistics.mean(scores), 4),
    }
