"""How far a network can move along an axis within a cost."""

from __future__ import annotations

from typing import Any

from expand.search.base import Problem
from search_spaces.base import Axis

_MOST_STEPS = 1 << 20  # an axis whose cost has not moved after so many steps never will
_LOOKED_AT = (1, 2, 4, 8, 16, 32)  # steps, to see whether an axis changes the cost


def steps_within(problem: Problem, axis: Axis[Any], point: Any, limit: float) -> int:
    """How many steps up an axis the cost stays within `limit`.

    By doubling, then bisection, since costs do not fall along an axis: about 2·log₂(steps) counts.
    """

    def fits(steps: int) -> bool:
        moved = axis.move(problem.space, point, steps)
        return moved is not None and problem.cost_of(moved) <= limit

    low, high = 0, 1
    while high < _MOST_STEPS and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def largest(problem: Problem, axis: Axis[Any], point: Any, limit: float) -> Any | None:
    """The point furthest up an axis whose cost does not exceed `limit`; None if one step is too far."""
    steps = steps_within(problem, axis, point, limit)
    return axis.move(problem.space, point, steps) if steps else None


def smallest_cut(problem: Problem, axis: Axis[Any], point: Any, limit: int) -> Any | None:
    """The point least far down an axis whose cost does not exceed `limit`; None if there is none."""

    def within(steps: int) -> bool:
        moved = axis.move(problem.space, point, -steps)
        return moved is None or problem.cost_of(moved) <= limit

    low, high = 0, 1
    while not within(high) and high < _MOST_STEPS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return axis.move(problem.space, point, -high)


def is_free(problem: Problem, axis: Axis[Any], point: Any) -> bool:
    """Whether moving up an axis leaves the cost as it is, as longer clips leave the parameters."""
    moved = [axis.move(problem.space, point, steps) for steps in _LOOKED_AT]
    costs = {problem.cost_of(one) for one in moved if one is not None}
    return costs == {problem.cost_of(point)}
