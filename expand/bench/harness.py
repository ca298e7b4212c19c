"""Timing and results of all benchmarks: calls are timed in turns, in one run, against a named baseline.

As other work on the machine can only make a call slower, the fastest of several times is reported, ratios are
of two fastest times, and the slowest time shows the spread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expand.system.machine import describe_machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The times of one call over several rounds, in the unit of its Figures."""

    fastest: float
    median: float
    slowest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Timing:
        return cls(fastest=min(values), median=statistics.median(values), slowest=max(values))

    def to_json(self) -> dict[str, float]:
        return {"fastest": self.fastest, "median": self.median, "slowest": self.slowest}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Timings of one task by several implementations.

    Attributes:
        name: the task, such as the architecture.
        timings: timings by implementation, xpand's own first.
        baseline: the implementation that the ratio is against.
        facts: further values of the row, such as multiply-adds.
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
        """How many times as fast xpand is as the baseline."""
        return self.ratio_to(self.baseline)

    def ratio_to(self, way: str) -> float:
        return self.timings[way].fastest / self.timings[self.own].fastest

    def to_json(self) -> dict[str, Any]:
        timings = {way: timing.to_json() for way, timing in self.timings.items()}
        return {"name": self.name, **self.facts, **timings, "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The results of a benchmark.

    Attributes:
        benchmark: the verb of `xpand bench`, followed by what was measured where there is a choice.
        unit: the unit of every timing, such as `ms a training step`.
        rows: the timings; the ratio over all rows is their geometric mean.
        settings: the options of the command, such as batch, threads and rounds.
        limit: the limit for xpand's timings, in the unit; None for none.
        notes: further results, a clause each.
    """

    benchmark: str
    unit: str
    rows: Sequence[Comparison]
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: float | None = None
    notes: Sequence[str] = ()

    @property
    def command(self) -> str:
        """The command that repeats the measurement."""
        words = ["xpand bench", self.benchmark.split()[0]]
        for option, value in self.settings.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{option} {one}" for one in values]
        return " ".join(words)

    @property
    def ratio(self) -> float:
        return self.ratio_to(self.rows[0].baseline)

    def ratio_to(self, way: str) -> float:
        """Return how many times as fast xpand is as another implementation, over all rows."""
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
    """Time several calls in turns: each once a round, for `rounds` rounds after `warm_up` untimed ones.

    alternate({"fast": f, "plain": g}, rounds=5)  # {"fast": Timing, "plain": Timing} in milliseconds

    Args:
        calls: the calls by name; a call must have finished all its work when it returns, so CUDA calls must
            synchronize.
        rounds: number of timed rounds, at least 1.
        scale: factor from seconds to the unit; 1e3 gives milliseconds.
        warm_up: number of untimed rounds before, for caches and compilers.
        repeats: for short calls, by name, how often they are called in a turn, whose mean counts; else once.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(warm_up + rounds):
        for name, call in calls.items():
            times = (repeats or {}).get(name, 1)
            started = time.perf_counter()
            for _ in range(times):
                call()
            seconds[name].append((time.perf_counter() - started) / times)
    return {name: Timing.of([scale * s for s in values[warm_up:]]) for name, values in seconds.items()}
