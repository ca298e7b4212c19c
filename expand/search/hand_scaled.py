"""Networks that are scaled by hand: by fixed proportions, up to each target. Nothing is searched.

The baseline of those who do not search: take the proportions of published networks, or grow all factors
alike (Tan and Le, ICML 2019), and spend the compute on knowing the score better.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from expand.search.base import Candidate, Outcome, Problem, Round, Training, Trajectory, network_key
from expand.search.budget import Purse
from expand.search.shares import best_of, dividable, divided
from search_spaces.base import scalings_of

_HALVINGS = 40  # of the interval in which the largest scale within a target lies


class HandScaled:
    """Scales the start to each target by the space's own proportions, and keeps the better network.

    A space says its proportions by `scalings` (search_spaces/base.py); for X3D they are those of its
    published networks, and equal powers of all factors. A space without any is grown along all axes by equal
    shares of the growth.

    Every network is trained with the seeds of the search; with a budget, with as many seeds as it pays for.
    """

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; a single round.

        Raises:
            UserError: the budget does not pay for one training of each network.
        """
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        of = {target: scaled(problem, target) for target in wanted}
        networks = list(dict.fromkeys(one for ones in of.values() for one in ones))
        round_ = Round(number=0, kind="hand-scaled", trainings=_trainings(problem, networks))
        outcomes = round_.by_candidate((yield round_))
        round_.check_not_all_failed(outcomes)
        targets = (best_of(problem, target, {one: outcomes[one] for one in of[target]}) for target in wanted)
        return Trajectory(states=(), targets=tuple(targets))


def scaled(problem: Problem, target: int) -> list[Candidate]:
    """The networks that are scaled to a target, each once, named such as `45M-published`."""
    short, found = problem.cost.short(target), dict[object, Candidate]()
    scalings = scalings_of(problem.space)
    points = {name: _largest(problem, at, target) for name, at in scalings.items()}
    if not scalings:
        axes = dividable(problem)
        points = {"even": divided(problem, axes, target, [1.0] * len(axes))}
    for name, point in points.items():
        found.setdefault(network_key(problem.space, point), problem.candidate(f"{short}-{name}", point))
    return list(found.values())


def _largest(problem: Problem, at: Callable[[float], Any], target: int) -> Any:
    """The point at the largest scale from 0 to 1 that is within the target and the limits."""
    if problem.within(at(1.0), target):
        return at(1.0)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if problem.within(at(middle), target) else (low, middle)
    return at(low)


def _trainings(problem: Problem, networks: Sequence[Candidate]) -> tuple[Training, ...]:
    """The trainings of all networks: with the first seeds, or with as many as the budget pays for."""
    if problem.budget is None:
        return problem.trainings(networks)
    purse, trainings = Purse(problem), list[Training]()
    once = [Training(candidate=one, seed=problem.seed) for one in networks]
    purse.check(once)
    while purse.pays(once):
        purse.spend(once)
        trainings += once
        once = [Training(candidate=one.candidate, seed=one.seed + 1) for one in once]
    return tuple(sorted(trainings, key=lambda one: networks.index(one.candidate)))
