"""Finds how far a network can be grown or contracted along an axis within a limit of cost."""

from __future__ import annotations

from typing import Any

from expand.search.base import Problem
from search_spaces.base import Axis

_MOST_STEPS = 1 << 20  # beyond it, an axis counts as one that never reaches the limit
_PROBED_STEPS = (1, 2, 4, 8, 16, 32)  # numbers of steps at which `is_free` compares costs


def steps_within(problem: Problem, axis: Axis[Any], point: Any, limit: float) -> int:
    """The largest number of steps up an axis at which the cost does not exceed `limit`; 0 if one step does.

    Doubling and then bisection find it, since costs never fall along an axis: about 2·log₂(steps) counts.
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
    """The point furthest up an axis whose cost does not exceed `limit`; None if one step exceeds it."""
    steps = steps_within(problem, axis, point, limit)
    return axis.move(problem.space, point, steps) if steps else None


def smallest_cut(problem: Problem, axis: Axis[Any], point: Any, limit: int) -> Any | None:
    """The first point down an axis whose cost does not exceed `limit`; None if the axis ends before that."""

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
    """Whether growing along an axis does not change the cost: more frames, for example, add no parameters."""
    moved = [axis.move(problem.space, point, steps) for steps in _PROBED_STEPS]
    costs = {problem.cost_of(one) for one in moved if one is not None}
    return costs == {problem.cost_of(point)}
