"""Random search: draws networks whose cost lies just below each target, trains all, and keeps the best.

With the same compute, it is the baseline that every search must beat (Li and Talwalkar, UAI 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from expand.search.base import Candidate, Outcome, Problem, Round, Trajectory
from expand.search.budget import Purse
from expand.search.shares import best_of, dividable, divided, weights_of
from expand.system.errors import UserError

NETWORKS = 20  # for each target, without a budget
_DRAWS = 100  # draws for each network, after which the search gives up


class RandomNetworks:
    """Draws networks for each target, trains all of them, and keeps the best.

    The growth from the start's cost to the target, as a factor, is divided among the axes: its logarithm by
    shares that are uniform over all divisions (shares.py), in a random order. A network that costs too
    little, because steps are whole, is drawn again. Axes along which the cost does not change (`is_free`) do
    not grow, since no target limits them.

    With a budget, as many networks are drawn as it pays for; every target has an equal part of it.

    Args:
        networks: different networks for each target; None: as many as the budget pays for, or 20.
        within: networks must cost at least 1 - `within` of the target.
    """

    def __init__(self, *, networks: int | None = None, within: float = 0.1) -> None:
        if (networks is not None and networks < 1) or not 0 < within <= 1:
            raise ValueError(
                f"networks must be at least 1, and within in (0, 1], got {networks!r} and {within!r}"
            )
        self._networks, self._within = networks, within

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; one round for each target, the cheapest target first.

        Raises:
            UserError: too few networks turn up, or the budget does not pay for one.
        """
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        drawn = [self.drawn(problem, target, Purse(problem, 1 / len(wanted))) for target in wanted]
        found = []
        for number, (target, candidates) in enumerate(zip(wanted, drawn, strict=True)):
            round_ = Round(number=number, kind="random", trainings=problem.trainings(candidates))
            outcomes = round_.by_candidate((yield round_))
            round_.check_not_all_failed(outcomes)
            found.append(best_of(problem, target, outcomes))
        return Trajectory(states=(), targets=tuple(found))

    def drawn(self, problem: Problem, target: int, purse: Purse) -> tuple[Candidate, ...]:
        """Different networks for a target, named by the target and their number, such as `80M-1`.

        Raises:
            UserError: fewer than requested turned up after `_DRAWS` draws for each, or none can be paid.
        """
        axes, draws = dividable(problem), uniform(f"{problem.seed}:{target}")
        wanted = self._networks or (NETWORKS if problem.budget is None else None)
        found: dict[str, Candidate] = {}
        in_vain = 0
        while wanted is None or len(found) < wanted:
            candidate = self._draw(problem, axes, target, draws, len(found) + 1)
            network = repr(problem.space.architecture(candidate.point))
            if candidate.cost < (1 - self._within) * target or network in found:
                in_vain += 1
                if in_vain >= _DRAWS * (wanted or NETWORKS):
                    break
                continue
            trainings = problem.trainings([candidate])
            if not found:
                purse.check(trainings)
            if not purse.pays(trainings):
                break
            purse.spend(trainings)
            found[network] = candidate
        if not found or (wanted is not None and len(found) < wanted and problem.budget is None):
            raise UserError(
                f"there must be {wanted or 1} networks that cost between {1 - self._within:.0%} and 100% of "
                f"a target, but for {problem.cost.short(target)} only {len(found)} were found: lower "
                "search.settings.networks, raise search.settings.within, or choose another target."
            )
        return tuple(found.values())

    @staticmethod
    def _draw(
        problem: Problem, axes: Sequence[Any], target: int, draws: Iterator[float], number: int
    ) -> Candidate:
        weights = weights_of([next(draws) for _ in axes])
        order = sorted(range(len(axes)), key=lambda _: next(draws))
        point = divided(problem, [axes[at] for at in order], target, [weights[at] for at in order])
        return problem.candidate(f"{problem.cost.short(target)}-{number}", point)


def uniform(seed: str) -> Iterator[float]:
    """An endless stream of uniform numbers in [0, 1), which depends on the seed alone, on every machine."""
    number = 0
    while True:
        digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        yield int.from_bytes(digest[:6], "big") / 2**48
        number += 1
