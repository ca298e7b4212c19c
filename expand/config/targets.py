"""Targets as people write them: 80M multiply-adds, 1.5Mparams, 400Kact."""

from __future__ import annotations

from expand.system.units import parse_count

# What stands after the number, and the cost that it names; nothing: multiply-adds, or whatever was named.
UNITS = {"params": "params", "act": "activations", "": "macs"}


def parse_target(value: object) -> tuple[int, str | None]:
    """A number, and the cost that its unit names; None: it has no unit.

    Raises:
        ValueError: it is no number above 0, or has another unit.
    """
    number, cost = split_unit(value)
    return parse_count(number), cost


def split_unit(value: object) -> tuple[object, str | None]:
    """What stands before a unit, and the cost that this one names; None: there is none."""
    if isinstance(value, str):
        text = value.strip()
        for suffix, cost in UNITS.items():
            if suffix and text.lower().endswith(suffix):
                return text[: -len(suffix)], cost
    return value, None
