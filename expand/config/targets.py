"""Parses targets such as 80M (multiply-adds), 1.5Mparams and 400Kact (activations)."""

from __future__ import annotations

from expand.system.units import parse_count

# Costs by the unit after the number. Without a unit, `search.cost` says what a number counts.
UNITS = {"params": "params", "act": "activations", "": "macs"}


def parse_target(value: object) -> tuple[int, str | None]:
    """A target's number, and the cost that its unit names; None: no unit.

    Raises:
        ValueError: the text is not a number above 0 with one of the units, or none.
    """
    number, cost = split_unit(value)
    return parse_count(number), cost


def split_unit(value: object) -> tuple[object, str | None]:
    """A target without its unit, and the cost that the unit names; None: no unit."""
    if isinstance(value, str):
        text = value.strip()
        for suffix, cost in UNITS.items():
            if suffix and text.lower().endswith(suffix):
                return text[: -len(suffix)], cost
    return value, None
