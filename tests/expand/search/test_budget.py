"""Strategies with a budget: none spends more, and each uses what it has."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from expand.search.base import Outcome, Problem, Round, Scored, Strategy, Training, Trajectory
from expand.search.budget import Purse
from expand.search.conformance import check_strategy
from expand.search.expansion import Expansion
from expand.search.hand_scaled import HandScaled
from expand.search.random_networks import RandomNetworks
from expand.search.samplers import NSGA2, TPE
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace

SPACE = X3DSpace(size=40, frames=2, stride=34)
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "expansion": Expansion,
    "random": RandomNetworks,
    "hand-scaled": HandScaled,
    "tpe": TPE,
    "nsga2": NSGA2,
}


def problem(budget: float | None, *targets: int, seeds: int = 1, least: int | None = None) -> Problem:
    return Problem(
        space=SPACE,
        axes=SPACE.axes,
        targets=targets or (45_000_000,),
        num_classes=10,
        budget=budget,
        clips=100,
        seeds=range(seeds),
        least=least,
    )


def frames_are_best(training: Training) -> Outcome:
    frames = SPACE.sampling(training.candidate.point).frames
    return Scored(score=min(1.0, frames / 50) + 0.001 * (training.seed % 7))


def nothing_is_better(training: Training) -> Outcome:
    noise = random.Random(f"{training.candidate.name} {training.seed}")
    return Scored(score=0.5 + noise.gauss(0, 0.03))


def searched(
    make: Callable[[], Strategy],
    asked: Problem,
    score: Callable[[Training], Outcome] = frames_are_best,
) -> tuple[list[Round], Trajectory]:
    search = make().search(asked)
    rounds, outcomes = [next(search)], list[Outcome]()
    while True:
        outcomes = [score(one) for one in rounds[-1].trainings]
        try:
            rounds.append(search.send(outcomes))
        except StopIteration as end:
            return rounds, end.value


def spent(asked: Problem, rounds: Sequence[Round]) -> float:
    return asked.spent(one for round_ in rounds for one in round_.trainings)


def test_a_training_costs_three_passes_of_each_clip() -> None:
    asked = problem(None)
    half = Training(candidate=asked.start, seed=0, budget=0.5)
    assert asked.spent([half, half]) == 3 * 100 * asked.start.macs
    purse = Purse(replace(asked, budget=4 * 3 * 100 * asked.start.macs), share=0.5)
    assert purse.pays([half] * 4)
    assert not purse.pays([half] * 5)
    purse.spend([half])
    assert not purse.pays([half] * 4)
    purse.reserve = 3 * 100 * asked.start.macs
    assert not purse.pays([half, half])
    assert Purse(asked).pays([half] * 10_000)


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("targets", [(45_000_000,), (20_000_000, 45_000_000)])
@pytest.mark.parametrize("budget", [1.2e11, 3e11])
def test_a_budget_is_used_and_not_passed(
    make: Callable[[], Strategy], targets: tuple[int, ...], budget: float
) -> None:
    asked = problem(budget, *targets)
    rounds, found = searched(make, asked)
    assert spent(asked, rounds) <= budget
    if make is not Expansion:  # which ends where its targets are passed
        dearest = max(asked.spent([one]) for round_ in rounds for one in round_.trainings)
        assert spent(asked, rounds) > budget - len(targets) * 2 * dearest
    assert [target.target for target in found.targets] == list(targets)
    check_strategy(make, asked)


def test_expansion_stops_growing_where_the_next_round_cannot_be_paid_and_contracts_all_the_same() -> None:
    whole, end = searched(Expansion, problem(None))
    all_of_it = spent(problem(None), whole)
    rounds, found = searched(Expansion, problem(0.6 * all_of_it))
    assert found.stopped is not None
    assert found.stopped.startswith("search.budget, ")
    assert f"does not pay for round {len(found.states)}, which takes " in found.stopped
    assert found.states == end.states[: len(found.states)]
    assert found.targets[0].candidate == found.states[-1].candidate
    assert searched(Expansion, problem(1.3 * all_of_it)) == (whole, end)
    assert spent(problem(None), rounds) <= 0.6 * all_of_it


def test_a_race_ends_where_another_stage_cannot_be_paid() -> None:
    endless, _ = searched(Expansion, problem(None, seeds=6, least=2), nothing_is_better)
    least, _ = searched(Expansion, problem(None, seeds=2), nothing_is_better)
    more, fewer = spent(problem(None), endless), spent(problem(None), least)
    assert more > 1.2 * fewer
    asked = problem((more + fewer) / 2, seeds=6, least=2)
    rounds, _ = searched(Expansion, asked, nothing_is_better)
    assert fewer * 0.9 < spent(asked, rounds) <= (more + fewer) / 2


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
def test_a_budget_that_pays_for_nothing_is_refused_before_anything_is_trained(
    make: Callable[[], Strategy],
) -> None:
    with pytest.raises(UserError, match=r"search\.budget must pay for the first trainings at least"):
        next(make().search(problem(1e9)))


def test_hand_scaled_spends_the_budget_on_seeds_of_the_same_networks() -> None:
    rounds, found = searched(HandScaled, problem(3e11))
    (round_,) = rounds
    assert [one.name for one in round_.candidates] == ["45M-published", "45M-compound"]
    seeds = {one: [t.seed for t in round_.trainings if t.candidate == one] for one in round_.candidates}
    assert len({tuple(of) for of in seeds.values()}) == 1
    assert len(next(iter(seeds.values()))) > 5
    assert found.targets[0].candidate in round_.candidates
