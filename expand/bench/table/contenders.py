"""The ways of searching that are compared on a table."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from expand.bench.table.look_ahead import LookAhead
from expand.bench.table.lookup import Entry, Lookup
from expand.search.base import Outcome, Problem, Round, Strategy, Trajectory
from expand.search.budget import Purse
from expand.search.expansion import Expansion
from expand.search.hand_scaled import HandScaled
from expand.search.samplers import NSGA2, TPE
from expand.search.shares import best_of

# Which networks of the table stand for the candidates of a search. exact: the candidates themselves. near:
# the most alike of those whose cost is within a tenth below the target. below: the most alike of all within
# the target.
Standing = Literal["exact", "near", "below"]

WITHIN = 0.1  # of a target, below which a network counts as near it


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A way of searching.

    Attributes:
        name: in tables and figures; docs/strategies.md explains them.
        make: makes the strategy of a replay, from the table, the replay's number and the target.
        way: whether its candidates are trained from random weights or grown.
        seeds: the least and the most trainings of a candidate.
        standing: which networks of the table stand for its candidates.
        budgeted: whether it spends whatever budget it is given; the others end by themselves.
    """

    name: str
    make: Callable[[Lookup, int, int], Strategy]
    way: Literal["scratch", "grown"] = "scratch"
    seeds: tuple[int, int] = (1, 1)
    standing: Standing = "exact"
    budgeted: bool = False


class DrawnBefore:
    """Random search over the networks of a table that were drawn near the target, in a random order.

    They were drawn as `RandomNetworks` draws, so any order of them is one that it could have drawn. Once all
    are used, they come again, as other networks that score like them.
    """

    def __init__(self, networks: Sequence[Entry], seed: int) -> None:
        self._networks, self._seed = networks, seed

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; a single round."""
        (target,) = problem.targets
        generator, purse = np.random.default_rng(self._seed), Purse(problem)
        drawn = list[Entry]()
        while True:
            order = generator.permutation(len(self._networks))
            for at in order:
                entry = self._networks[int(at)]
                trainings = problem.trainings([entry.candidate])
                if not purse.pays(trainings):
                    found = [problem.candidate(f"{n}", one.candidate.point) for n, one in enumerate(drawn)]
                    round_ = Round(number=0, kind="random", trainings=problem.trainings(found))
                    outcomes = round_.by_candidate((yield round_))
                    return Trajectory(states=(), targets=(best_of(problem, target, outcomes),))
                purse.spend(trainings)
                drawn.append(entry)


def near(lookup: Lookup, target: int, kinds: Sequence[str] = ()) -> list[Entry]:
    """The networks of a table whose cost is within a tenth below a target, of some kinds or of all."""
    return [
        one
        for one in lookup.scratch.values()
        if (1 - WITHIN) * target <= one.candidate.cost <= target and (not kinds or one.kinds & set(kinds))
    ]


def below(lookup: Lookup, target: int) -> list[Entry]:
    """The networks of a table within a target."""
    return [one for one in lookup.scratch.values() if one.candidate.cost <= target]


def _random(lookup: Lookup, replay: int, target: int) -> Strategy:
    return DrawnBefore(near(lookup, target, ["drawn"]), replay)


CONTENDERS: Mapping[str, Contender] = {
    one.name: one
    for one in (
        Contender(name="expansion-1", make=lambda *_: Expansion()),
        Contender(name="expansion-3", make=lambda *_: Expansion(), seeds=(3, 3)),
        Contender(name="race", make=lambda *_: Expansion(), seeds=(2, 8)),
        Contender(name="race-ahead", make=lambda *_: LookAhead(), seeds=(2, 8)),
        Contender(name="grown-1", make=lambda *_: Expansion(), way="grown"),
        Contender(name="grown-3", make=lambda *_: Expansion(), seeds=(3, 3), way="grown"),
        Contender(name="grown-race", make=lambda *_: Expansion(), seeds=(2, 8), way="grown"),
        Contender(
            name="grown-race-ahead",
            make=lambda *_: LookAhead(),
            seeds=(2, 8),
            way="grown",
        ),
        Contender(name="random", make=_random, budgeted=True),
        Contender(name="hand-scaled", make=lambda *_: HandScaled(), budgeted=True),
        Contender(name="tpe", make=lambda *_: TPE(within=WITHIN), standing="near", budgeted=True),
        Contender(name="nsga2", make=lambda *_: NSGA2(), standing="below", budgeted=True),
    )
}
