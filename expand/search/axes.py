"""Finds how far a network can be grown or contracted along an axis within a cost and the search's limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from expand.search.base import Candidate, Problem
from search_spaces.base import Axis

_MOST_STEPS = 1 << 20  # beyond it, an axis counts as one that never reaches the limit
_PROBED_STEPS = (1, 2, 4, 8, 16, 32)  # numbers of steps at which `is_free` compares costs


def steps_within(problem: Problem, axis: Axis[Any], point: Any, limit: float) -> int:
    """The largest number of steps up an axis to a network within a cost (`Problem.within`); 0: not one step.

    Doubling and then bisection find it, since costs never fall along an axis: about 2·log₂(steps) counts.
    """

    def fits(steps: int) -> bool:
        moved = axis.move(problem.space, point, steps)
        return moved is not None and problem.within(moved, limit)

    low, high = 0, 1
    while high < _MOST_STEPS and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def largest(problem: Problem, axis: Axis[Any], point: Any, limit: float) -> Any | None:
    """The point furthest up an axis that is within a cost and the limits; None if one step is not."""
    steps = steps_within(problem, axis, point, limit)
    return axis.move(problem.space, point, steps) if steps else None


def steps_down(problem: Problem, axis: Axis[Any], point: Any, limit: int) -> int:
    """The smallest number of steps down an axis to a cost of at most `limit`, or to the end of the axis."""

    def within(steps: int) -> bool:
        moved = axis.move(problem.space, point, -steps)
        return moved is None or problem.within(moved, limit)

    low, high = 0, 1
    while not within(high) and high < _MOST_STEPS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def smallest_cut(problem: Problem, axis: Axis[Any], point: Any, limit: int) -> Any | None:
    """The first point down an axis whose cost does not exceed `limit`; None if the axis ends before that."""
    return axis.move(problem.space, point, -steps_down(problem, axis, point, limit))


def is_free(problem: Problem, axis: Axis[Any], point: Any) -> bool:
    """Whether growing along an axis does not change the cost: more frames, for example, add no parameters."""
    moved = [axis.move(problem.space, point, steps) for steps in _PROBED_STEPS]
    costs = {problem.cost_of(one) for one in moved if one is not None}
    return costs == {problem.cost_of(point)}


def matched(problem: Problem, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates of a round, each contracted along its axis to about the cost of the cheapest.

    Axes come in steps, so each becomes the network whose cost is nearest, be it a little more or less; it
    stays larger than the network that it was grown from.
    """
    limit = min((one.cost for one in candidates), default=0)
    return [_nearest(problem, one, limit) for one in candidates]


def _nearest(problem: Problem, candidate: Candidate, cost: int) -> Candidate:
    """A candidate contracted along its axis to the network whose cost is nearest to `cost`, as a ratio."""
    assert candidate.axis is not None, "a candidate of a round of growth has an axis"
    axis, floor = problem.axes[candidate.axis], 0 if candidate.parent is None else candidate.parent.cost
    if candidate.cost <= cost:
        return candidate
    below = steps_down(problem, axis, candidate.point, cost)
    found = [candidate]
    for steps in {below, below - 1} - {0}:
        point = axis.move(problem.space, candidate.point, -steps)
        if point is not None and problem.cost_of(point) > floor:
            found.append(
                problem.candidate(candidate.name, point, axis=candidate.axis, parent=candidate.parent)
            )
    return min(found, key=lambda one: abs(math.log(one.cost / cost)))
