"""What it costs a search to keep frames on a grid: bytes against the accuracy of short trainings."""

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
from expand.run.driver import decode, plan
from expand.search.problem import Setup
from expand.workers import Task, open_workers
from search_spaces.base import ClipSampling

OVERSAMPLING = (1.0, 2.0, 4.0, 1000.0)  # the last: as many frames as clips count in, 30 a second
NETWORKS: tuple[tuple[str, ...], ...] = ((), ("fast",), ("temporal", "fast"))


def measure_grid(config: Config, view: SearchView) -> Iterator[dict[str, Any]]:
    """A row for each grid and network: bytes of the cache, how far off frames may be, top-1 of each seed.

    The networks are the start, which has the longest stride, and what it becomes along one and two axes of
    time.

    Args:
        config: space, data, seeds, targets and recipe of the search; its targets decide the fastest clips.
        view: is told how far the decoding is.
    """
    for oversampling in OVERSAMPLING:
        data = config.data.model_copy(update={"oversampling": oversampling})
        changed = config.model_copy(update={"data": data})
        prepared = decode(plan(changed), view)
        setup = Setup.of(changed, prepared.setup.data)
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
            yield _row(oversampling, prepared.setup.data.fps, prepared.cached.bytes, jobs[0].sampling, scores)


def _row(
    oversampling: float, fps: float, size: int, sampling: dict[str, Any], scores: Sequence[float]
) -> dict[str, Any]:
    clip = ClipSampling(**sampling)
    return {
        "oversampling": oversampling,
        "fps": round(fps, 3),
        "bytes": size,
        "network": str(clip),
        "furthest": round(1 / (2 * fps) / clip.step_seconds, 4),  # in strides of the network
        "top1": [round(score, 4) for score in scores],
        "mean": round(statistics.mean(scores), 4),
    }
