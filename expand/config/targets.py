"""Parses amounts of what networks cost: 80M (multiply-adds), 1.5Mparams, 400Kact, 5ms, 6MB, peak 50MB.

The unit tells which cost is meant (`expand.search.costs`): bytes are those of the weights, or, after `peak`,
of the activations that are in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from expand.system.units import (
    parse_bytes,
    parse_count,
    parse_nanoseconds,
    short_bytes,
    short_count,
    short_nanoseconds,
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """How amounts of a cost are written."""

    cost: str
    parse: Callable[[str], int | None]
    short: Callable[[int], str]
    before: str = ""
    after: str = ""

    def read(self, text: str) -> int | None:
        """The amount; None: it is written otherwise."""
        if not (text.startswith(self.before) and text.endswith(self.after)):
            return None
        return self.parse(text.removeprefix(self.before).removesuffix(self.after).strip(" -"))


_UNITS = (
    _Unit("params", parse_count, short_count, after="params"),
    _Unit("activations", parse_count, short_count, after="act"),
    _Unit("peak", parse_bytes, short_bytes, before="peak"),
    _Unit("weights", parse_bytes, short_bytes),
    _Unit("predicted_latency", parse_nanoseconds, short_nanoseconds),
)
_FORMS = "80M (multiply-adds), 1.5Mparams, 400Kact, 5ms, 6MB (weights) or peak 50MB (activations)"


def parse_target(value: object) -> tuple[int, str | None]:
    """An amount, and the cost that its unit names; None: no unit, so that `search.cost` says what it counts.

    Raises:
        ValueError: the value is no amount above 0 with one of the units, or none.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value, None
    text = value.strip().lower() if isinstance(value, str) else ""
    for unit in _UNITS:
        if (amount := unit.read(text)) is not None:
            return amount, unit.cost
    if (amount := parse_count(text)) is not None:
        return amount, None
    raise ValueError(f"must be an amount above 0 such as {_FORMS}, got {value!r}")


def short_target(amount: int, cost: str) -> str:
    """The shortest exact text for an amount, which may be part of a file's name: 1.5Mparams, peak-50MB."""
    for unit in _UNITS:
        if unit.cost == cost:
            return f"{unit.before}{'-' if unit.before else ''}{unit.short(amount)}{unit.after}"
    return short_count(amount)
