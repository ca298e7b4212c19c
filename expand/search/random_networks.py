"""Random search: draws networks whose cost lies just below each target, trains all, and keeps the best.

With the same compute, it is the baseline that every search must beat (Li and Talwalkar, UAI 2019).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from expand.search.axes import is_free, largest
from expand.search.base import Candidate, Outcome, Problem, Round, Scored, TargetModel, Trajectory
from expand.system.errors import UserError
from search_spaces.base import Axis

_DRAWS = 100  # draws for each requested network, after which the search gives up


class RandomNetworks:
    """Draws networks for each target, trains all of them, and keeps the best.

    The growth from the start's cost to the target, as a factor, is divided among the axes: its logarithm by
    shares that are uniform over all divisions. In a random order, each axis grows as far as its share allows,
    and the last axis as far as the target allows. A network that costs too little, because steps are whole,
    is drawn again. Axes along which the cost does not change (`is_free`) do not grow, since no target limits
    them.

    Args:
        networks: different networks for each target.
        within: networks must cost at least 1 - `within` of the target.
    """

    def __init__(self, *, networks: int = 20, within: float = 0.1) -> None:
        if networks < 1 or not 0 < within <= 1:
            raise ValueError(
                f"networks must be at least 1, and within in (0, 1], got {networks!r} and {within!r}"
            )
        self._networks, self._within = networks, within

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; one round for each target, the cheapest target first."""
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        drawn = [self._drawn(problem, target) for target in wanted]
        found = []
        for number, (target, candidates) in enumerate(zip(wanted, drawn, strict=True)):
            round_ = Round(number=number, kind="random", trainings=problem.trainings(candidates))
            outcomes = round_.by_candidate((yield round_))
            round_.check_not_all_failed(outcomes)
            best = max(outcomes, key=lambda one: _rank(one, outcomes[one]))
            found.append(
                TargetModel(
                    name=problem.target_name(target),
                    target=target,
                    state=None,
                    candidate=best,
                    outcome=outcomes[best],
                )
            )
        return Trajectory(states=(), targets=tuple(found))

    def _drawn(self, problem: Problem, target: int) -> tuple[Candidate, ...]:
        """Different networks for a target, named by the target and their number, such as `80M-1`.

        Raises:
            UserError: fewer than requested turned up after `_DRAWS` draws for each.
        """
        axes = [axis for axis in problem.axes.values() if not is_free(problem, axis, problem.start.point)]
        draws = _uniform(f"{problem.seed}:{target}")
        points: dict[str, Any] = {}
        for _ in range(_DRAWS * self._networks):
            point = _divided(problem, axes, target, draws)
            if problem.cost_of(point) >= (1 - self._within) * target:
                points.setdefault(repr(problem.space.architecture(point)), point)
            if len(points) == self._networks:
                short = problem.cost.short(target)
                return tuple(
                    problem.candidate(f"{short}-{number}", point)
                    for number, point in enumerate(points.values(), start=1)
                )
        raise UserError(
            f"there must be {self._networks} networks that cost between {1 - self._within:.0%} and 100% of a "
            f"target, but for {problem.cost.short(target)} only {len(points)} were found: lower "
            "search.settings.networks, raise search.settings.within, or choose another target."
        )


def _divided(problem: Problem, axes: Sequence[Axis[Any]], target: int, draws: Iterator[float]) -> Any:
    """A point within the target, grown from the start along all axes by random shares of the growth."""
    weights = [-math.log(1 - next(draws)) for _ in axes]  # divided by their sum: uniform on the simplex
    order = sorted(range(len(axes)), key=lambda _: next(draws))
    point = problem.start.point
    growth = target / problem.cost_of(point)
    for position, index in enumerate(order):
        last = position == len(order) - 1
        limit = problem.cost_of(point) * growth ** (weights[index] / sum(weights))
        point = largest(problem, axes[index], point, target if last else min(limit, target)) or point
    return point


def _rank(candidate: Candidate, outcome: Outcome) -> tuple[float, int]:
    """A key that is larger for a better candidate: a higher score, then a lower cost; failures come last."""
    return (outcome.score if isinstance(outcome, Scored) else float("-inf"), -candidate.cost)


def _uniform(seed: str) -> Iterator[float]:
    """An endless stream of uniform numbers in [0, 1), which depends on the seed alone, on every machine."""
    number = 0
    while True:
        digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        yield int.from_bytes(digest[:6], "big") / 2**48
        number += 1
