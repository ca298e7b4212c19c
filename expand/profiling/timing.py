"""Takes the times of several networks in turns, so that what else the machine does disturbs all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from expand.profiling.runtimes import Run

_ROUNDS, _PASSES = 9, 3  # rounds, and passes of each network in a round that are timed


def timed(runs: Sequence[Run], threads: int) -> list[float]:
    """The median of the nanoseconds of a pass, of each network, while torch has so many threads.

    In a round, each network makes a pass that warms it up, and then those that are timed.
    """
    taken: list[list[float]] = [[] for _ in runs]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(_ROUNDS):
            for run, times in zip(runs, taken, strict=True):
                run()
                for _ in range(_PASSES):
                    begun = time.perf_counter_ns()
                    run()
                    times.append(time.perf_counter_ns() - begun)
    finally:
        torch.set_num_threads(before)
    return [statistics.median(times) for times in taken]
