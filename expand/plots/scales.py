"""Scales of axes with readable ticks for any range."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

_SUBS = (tuple(range(1, 10)), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))


def log_scale(axes: Axes, show: Callable[[float], str], low: float, high: float, *, closest: float) -> None:
    """Make the horizontal axis logarithmic from `low` to `high`.

    Args:
        axes: the axes to change.
        show: formats a tick, such as 20 M.
        low, high: the limits.
        closest: the least distance of two ticks, as a share of the axis.
    """
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high, closest)))
    axes.xaxis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def in_percent(axis: Axis, digits: int = 3) -> None:
    """Format fractions as 5%, 20% or 4.6%."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.{digits}g}%"))


def _ticks(low: float, high: float, closest: float) -> list[float]:
    """Return round numbers between two limits, as many as the least distance allows."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for subs in _SUBS:
        ticks = [
            sub * 10.0**decade for decade in decades for sub in subs if low <= sub * 10.0**decade <= high
        ]
        gaps = [math.log(after / before) / math.log(high / low) for before, after in pairwise(ticks)]
        if min(gaps, default=1.0) >= closest:
            return ticks
    return [10.0**decade for decade in decades if low <= 10.0**decade <= high]
