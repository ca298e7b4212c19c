"""How every benchmark measures and what it says: calls in turn, in one run, against a named baseline.

Other work on the machine only ever adds to a time, so the fastest of several is the figure, the ratio is of
two such figures, and the slowest shows the spread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expand.bench.machine import describe_machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How long one call took, over several rounds, in the unit of its Figures."""

    fastest: float
    median: float
    slowest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Timing:
        return cls(fastest=min(values), median=statistics.median(values), slowest=max(values))

    def to_json(self) -> dict[str, float]:
        return {"fastest": self.fastest, "median": self.median, "slowest": self.slowest}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing measured in several ways.

    Attributes:
        name: the thing.
        timings: the ways, xpand's own first.
        baseline: the way that the ratio is against.
        facts: what else the row says, such as multiply-adds.
    """

    name: str
    timings: Mapping[str, Timing]
    baseline: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> str:
        return next(iter(self.timings))

    @property
    def ratio(self) -> float:
        """How many times as fast as the baseline."""
        return self.ratio_to(self.baseline)

    def ratio_to(self, way: str) -> float:
        return self.timings[way].fastest / self.timings[self.own].fastest

    def to_json(self) -> dict[str, Any]:
        timings = {way: timing.to_json() for way, timing in self.timings.items()}
        return {"name": self.name, **self.facts, **timings, "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a benchmark found.

    Attributes:
        benchmark: the verb of `xpand bench`, and what of it where it measures several things.
        unit: of every timing: `ms a training step`.
        rows: what was measured; the ratio of them all is the geometric mean.
        settings: what it was measured with, by option: batch, threads, rounds.
        limit: what a timing should stay under, in the unit; None where there is none.
        notes: what else was found, a clause each.
    """

    benchmark: str
    unit: str
    rows: Sequence[Row]
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: float | None = None
    notes: Sequence[str] = ()

    @property
    def command(self) -> str:
        """What a reader types to measure the same."""
        words = ["xpand bench", self.benchmark.split()[0]]
        for option, value in self.settings.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{option} {one}" for one in values]
        return " ".join(words)

    @property
    def ratio(self) -> float:
        return self.ratio_to(self.rows[0].baseline)

    def ratio_to(self, way: str) -> float:
        """How many times as fast xpand is, over all rows."""
        return math.exp(statistics.fmean(math.log(row.ratio_to(way)) for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "command": self.command,
            "unit": self.unit,
            "baseline": self.rows[0].baseline,
            "ratio": self.ratio,
            "limit": self.limit,
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "machine": describe_machine(),
            "rows": [row.to_json() for row in self.rows],
        }


def alternate(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    scale: float = 1e3,
    warm_up: int = 1,
    repeats: Mapping[str, int] | None = None,
) -> dict[str, Timing]:
    """Each call once a round, one after the other, `rounds` times after `warm_up` rounds that don't count.

    alternate({"fast": f, "plain": g}, rounds=5)  # {"fast": Timing, "plain": Timing} in milliseconds

    Args:
        calls: by name; a call is the whole thing that is timed, and leaves no work behind (a CUDA call
            synchronizes).
        rounds: at least 1.
        scale: from seconds to the unit; 1e3 gives milliseconds.
        warm_up: rounds before, for caches and compilers.
        repeats: how often a short call is made in its turn, whose mean is taken; 1 where nothing is said.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(warm_up + rounds):
        for name, call in calls.items():
            times = (repeats or {}).get(name, 1)
            started = time.perf_counter()
            for _ in range(times):
                call()
            seconds[name].append((time.perf_counter() - started) / times)
    return {name: Timing.of([scale * s for s in found[warm_up:]]) for name, found in seconds.items()}
