"""Strategies that train the networks of a table, one for each way. None of them chooses anything."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from expand.bench.table.networks import (
    Group,
    Kind,
    contractions,
    divided,
    expanded,
    growth,
    near_targets,
    sample,
)
from expand.search.base import Candidate, Outcome, Problem, Round, Training, Trajectory
from expand.search.budget import Purse
from expand.search.expansion import Expansion

Search = Generator[Round, Sequence[Outcome], Trajectory]

_LONG_ORDER: Sequence[Kind] = ("contraction", "drawn", "scaled", "expansion", "start")


class _Listed:
    """Trains networks that are known beforehand, from random weights.

    Args:
        rounds: rounds of expansion all of whose networks are in the table.
        further: rounds after these, whose networks are trained last.
        drawn: for each target, from the smallest on, how many networks are drawn near it.
        sampled: how many of the networks above the smallest target are trained at length.
        step: as for `Expansion`.
    """

    def __init__(
        self,
        *,
        rounds: int = 2,
        further: int = 0,
        drawn: Sequence[int] = (),
        sampled: int = 12,
        step: float = 2.0,
    ) -> None:
        self._rounds, self._further, self._drawn, self._sampled = rounds, further, drawn, sampled
        self._step = step

    def _near(self, problem: Problem) -> list[Group]:
        return expanded(problem, range(1, self._rounds + 1), step=self._step)


class Scratch(_Listed):
    """Trains all networks of the first rounds, and those near the targets.

    Those of the first rounds are trained with every seed of the search; the others with the least number.
    All of them are trained twice before any is trained again: with two trainings a network can be compared.
    """

    def search(self, problem: Problem) -> Search:
        """See `Strategy.search`; a round for each group, which goes on with its other seeds later."""
        near = self._near(problem)
        groups = [*near, *near_targets(problem, self._drawn)]
        first = problem.first_seeds
        others = problem.seeds[len(first) :]
        for seeds, trained in ((first[:2], groups), (first[2:], groups), (others, near)):
            for number, group in enumerate(trained):
                trainings = tuple(
                    Training(candidate=one, seed=seed) for one in group.networks for seed in seeds
                )
                if trainings:
                    yield Round(number=number, kind=group.kind, trainings=trainings)
        return Trajectory(states=(), targets=())


class Long(_Listed):
    """Trains at length, with the first seed, what searches may find, and some of the other networks.

    That is every network within the smallest target, those near it first, so that what any search finds for
    that target is known at length.
    """

    def search(self, problem: Problem) -> Search:
        """See `Strategy.search`; a round for each group, within the target and above it."""
        groups = [*self._near(problem), *near_targets(problem, self._drawn)]
        within, above = divided(groups, min(problem.targets))
        some = sample(above, self._sampled)
        first = sorted(within, key=lambda group: _LONG_ORDER.index(group.kind))
        last = [
            Group(kind=group.kind, networks=tuple(one for one in group.networks if one in some))
            for group in above
        ]
        for number, group in enumerate([*first, *last]):
            trainings = tuple(Training(candidate=one, seed=problem.seed) for one in group.networks)
            if trainings:
                yield Round(number=number, kind=group.kind, trainings=trainings)
        return Trajectory(states=(), targets=())


class Further(_Listed):
    """Trains the networks of the rounds after the first ones, with the least number of seeds."""

    def search(self, problem: Problem) -> Search:
        """See `Strategy.search`; a round for each group."""
        rounds = range(self._rounds + 1, self._rounds + self._further + 1)
        for number, group in enumerate(expanded(problem, rounds, step=self._step)):
            yield Round(number=number, kind=group.kind, trainings=problem.trainings(group.networks))
        return Trajectory(states=(), targets=())


class Grown(_Listed):
    """Trains the networks of the first rounds as a search does that grows them from their parents' weights.

    A network that several orders of axes lead to is trained once for each, as its weights differ. Each
    network that is grown has its control.
    """

    def search(self, problem: Problem) -> Search:
        """See `Strategy.search`; a round for each network that is grown, then one for contractions."""
        start = yield from Expansion(step=self._step).start(problem, Purse(problem))
        parents, number, smaller = [start.candidate], 0, list[Candidate]()
        for _ in range(self._rounds):
            grown = list[Candidate]()
            for parent in parents:
                number += 1
                round_ = replace(growth(problem, parent, step=self._step), number=number)
                yield round_
                grown += round_.contenders
            smaller += contractions(problem, grown)
            parents = grown
        if smaller:
            yield Round(number=number + 1, kind="contraction", trainings=problem.trainings(smaller))
        return Trajectory(states=(), targets=())
