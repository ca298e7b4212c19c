"""Predicted latency as a cost: a sum over a network's parts of the work that each does, at a device's pace.

`xpand profile` measures the pace. As no pace is below 0, and no work falls along an axis, the latency of a
network never falls as it grows, so that searches can find how far an axis may grow by bisection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from expand.config.spaces import Space
from expand.config.targets import short_target
from expand.system.errors import UserError
from expand.system.units import show_milliseconds
from search_spaces.base import Part, Parts, parts_of

LATENCY = "predicted_latency"

Pace = Mapping[str, Mapping[str, float]]  # by kind of part and name of work: nanoseconds for one unit of it


def nanoseconds(parts: Iterable[Part], pace: Pace) -> float:
    """What the parts of a network take, one after the other."""
    return sum(
        part.count * sum(amount * pace[part.kind][name] for name, amount in part.work.items())
        for part in parts
    )


@dataclass(frozen=True, slots=True)
class LatencyCost:
    """The predicted nanoseconds of a network, for as many clips at once as were timed."""

    pace: Pace
    name: str = LATENCY
    unit: str = "latency"

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`.

        Raises:
            UserError: the space does not say what its networks do, or does other work than was timed.
        """
        return predicted(space, space.architecture(point), num_classes, self.pace)

    def short(self, value: int) -> str:
        """See `Cost.short`. The text is also a valid `--target`."""
        return short_target(value, self.name)

    def show(self, value: float) -> str:
        """See `Cost.show`."""
        return show_milliseconds(value / 1e9)


def predicted(space: Space, architecture: Any, num_classes: int, pace: Pace) -> int:
    """The predicted nanoseconds of a network.

    Raises:
        UserError: the space does not say what its networks do, or does other work than was timed.
    """
    parts = needed_parts(space)(architecture, num_classes)
    try:
        return max(1, round(nanoseconds(parts, pace)))
    except KeyError as error:
        raise UserError(
            f"a profile must be of the space of the network, but it has no pace for {error}: measure this "
            "space by xpand profile."
        ) from None


def needed_parts(space: object) -> Parts:
    """The space's method `parts`.

    Raises:
        UserError: it has none.
    """
    parts = parts_of(space)
    if parts is None:
        raise UserError(
            f"latency can be predicted in a space that says what its networks do, but {type(space).__name__} "
            "has no method parts: add it (search_spaces/base.py), or choose another search.cost."
        )
    return parts
