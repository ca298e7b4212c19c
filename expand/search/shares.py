"""Networks just below a target, by how the growth from the start is divided among the axes.

The growth is the target's cost over the start's. Its logarithm is divided among the axes by shares that sum
to 1. In a given order, each axis grows as far as its share allows, and the last as far as the target allows:
so every division of the growth gives a network whose cost is close to the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from expand.search.axes import is_free, largest
from expand.search.base import Candidate, Outcome, Problem, Scored, TargetModel
from search_spaces.base import Axis


def dividable(problem: Problem) -> list[Axis[Any]]:
    """The axes among which growth is divided: those along which the cost rises, so that targets limit it."""
    return [axis for axis in problem.axes.values() if not is_free(problem, axis, problem.start.point)]


def weights_of(draws: Sequence[float]) -> list[float]:
    """Weights whose shares are uniform over all divisions, if the draws are uniform in [0, 1)."""
    return [-math.log(1 - draw) for draw in draws]


def divided(problem: Problem, axes: Sequence[Axis[Any]], target: float, weights: Sequence[float]) -> Any:
    """The point that is grown along the axes in their order, each by its share of the growth.

    Args:
        problem: of the search.
        axes: in the order in which they grow.
        target: the cost that the network must not exceed.
        weights: one for each axis; a share is a weight over their sum. All zero: equal shares.
    """
    point, total = problem.start.point, sum(weights)
    growth = target / problem.cost_of(point)
    for axis, weight in zip(axes, weights, strict=True):
        share = weight / total if total else 1 / len(axes)
        limit = target if axis is axes[-1] else problem.cost_of(point) * growth**share
        point = largest(problem, axis, point, min(limit, target)) or point
    return point


def best_of(problem: Problem, target: int, outcomes: dict[Candidate, Outcome]) -> TargetModel:
    """The model of a target: of the candidates within it, the best, and of equal ones the cheaper.

    One that has failed comes after all others.
    """
    within = [one for one in outcomes if one.cost <= target]
    best = max(within, key=lambda one: _rank(one, outcomes[one]))
    return TargetModel(
        name=problem.target_name(target), target=target, state=None, candidate=best, outcome=outcomes[best]
    )


def _rank(candidate: Candidate, outcome: Outcome) -> tuple[float, int]:
    """A key that is larger for a better candidate: a higher score, then a lower cost; failures come last."""
    return (outcome.score if isinstance(outcome, Scored) else -math.inf, -candidate.cost)
