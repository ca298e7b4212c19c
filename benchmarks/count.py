"""How fast the closed form counts, and a round is planned."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from expand.search import Scored, expand
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.factors import PUBLISHED

_REPEATS = 7


def measure_count() -> dict[str, Any]:
    """Microseconds of one closed-form count, for each published network: the fastest of several repeats."""
    space = X3DSpace()
    figures: dict[str, Any] = {"unit": "µs an architecture", "repeats": _REPEATS, "limit": 50.0}
    for name in PUBLISHED:
        architecture = space.architecture(published(name).factors)
        figures[name] = _fastest(partial(space.complexity, architecture), calls=500) * 1e6
    return figures


def measure_plan() -> dict[str, Any]:
    """Milliseconds of planning a round, all axes solved, along the way from X2D to past X3D-M."""
    space = X3DSpace()
    search = expand(space, axes=space.axes, targets=[5_000_000_000])
    round_ = next(search)
    milliseconds = []
    try:
        while True:
            started = time.perf_counter()
            round_ = search.send([Scored(top1=1 / (1 + place)) for place in range(len(round_.candidates))])
            milliseconds.append(1e3 * (time.perf_counter() - started))
    except StopIteration:
        pass
    return {
        "unit": "ms a round",
        "rounds": len(milliseconds),
        "limit": 10.0,
        "fastest": min(milliseconds),
        "median": statistics.median(milliseconds),
        "slowest": max(milliseconds),
    }


def _fastest(call: Callable[[], object], calls: int) -> float:
    """Seconds a call: the minimum over repeats, since what else runs only ever adds."""
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append((time.perf_counter() - started) / calls)
    return min(seconds)
