"""What strategies that expansion is compared with propose: hand-scaled networks, and Optuna's samplers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from expand.config.search import Config
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Trajectory
from expand.search.hand_scaled import HandScaled, scaled
from expand.search.samplers import NSGA2, TPE, Sampled
from expand.system.errors import RunFailed
from search_spaces.x3d import X3DSpace
from tests.expand.toy import ToySpace

SPACE = X3DSpace(size=40, frames=2, stride=34)


def problem(*targets: int, seed: int = 0) -> Problem:
    return Problem(space=SPACE, axes=SPACE.axes, targets=targets, num_classes=10, seeds=(seed,))


def follow(
    strategy: Sampled, asked: Problem, score: Callable[[Candidate], Outcome]
) -> tuple[list[Round], Trajectory]:
    search = strategy.search(asked)
    rounds = [next(search)]
    while True:
        try:
            rounds.append(search.send([score(one.candidate) for one in rounds[-1].trainings]))
        except StopIteration as end:
            return rounds, end.value


def depth_is_best(candidate: Candidate) -> Outcome:
    return Scored(score=min(1.0, candidate.point.depth / 10))


def test_scaled_networks_are_as_large_as_the_target_allows_and_another_scale_is_not() -> None:
    for target in (10_000_000, 45_000_000, 400_000_000):
        for one in scaled(problem(target), target):
            assert 0.75 * target < one.cost <= target, one


def test_a_space_without_proportions_is_grown_along_all_axes_alike() -> None:
    space = ToySpace()
    asked = Problem(space=space, axes=space.axes, targets=[100_000])
    (one,) = scaled(asked, 100_000)
    assert one.name == "100K-even"
    assert one.cost <= 100_000
    start = space.start
    assert all(getattr(one.point, name) > getattr(start, name) for name in space.axes)


def test_where_every_scaled_network_fails_the_search_fails() -> None:
    search = HandScaled().search(problem(45_000_000))
    round_ = next(search)
    with pytest.raises(RunFailed):
        search.send([Failed(reason="out of memory")] * len(round_.trainings))


@pytest.mark.parametrize("strategy", [TPE, NSGA2])
def test_a_sampler_proposes_what_scores_well_ever_more(strategy: type[Sampled]) -> None:
    rounds, found = follow(strategy(networks=64), problem(45_000_000), depth_is_best)
    candidates = [one for round_ in rounds for one in round_.candidates]
    assert len(candidates) == 64
    third = len(candidates) // 3

    def mean(some: list[Candidate]) -> float:
        return float(sum(one.point.depth for one in some) / len(some))

    assert mean(candidates[-third:]) > mean(candidates[:third]) + 0.2
    best = max(candidates, key=lambda one: (one.point.depth, -one.cost))
    assert found.targets[0].candidate == best
    networks = [repr((SPACE.architecture(one.point), SPACE.sampling(one.point))) for one in candidates]
    assert len(set(networks)) == len(networks)  # none is trained twice


def test_tpe_stays_close_to_its_targets_and_has_a_search_for_each() -> None:
    rounds, found = follow(TPE(networks=8), problem(20_000_000, 45_000_000), depth_is_best)
    costs = [[one.cost for one in round_.candidates] for round_ in rounds]
    assert len(costs) == 4
    assert all(0.9 * 20_000_000 <= cost <= 20_000_000 for batch in costs[:2] for cost in batch)
    assert all(0.9 * 45_000_000 <= cost <= 45_000_000 for batch in costs[2:] for cost in batch)
    assert [one.name for one in found.targets] == ["target-20M", "target-45M"]


def test_nsga2_looks_at_all_costs_at_once() -> None:
    rounds, found = follow(NSGA2(networks=16), problem(20_000_000, 45_000_000), depth_is_best)
    costs = [one.cost for round_ in rounds for one in round_.candidates]
    assert len(costs) == 32  # 16 for each target
    assert costs[0] == problem(20_000_000).start.cost  # within every target
    assert min(costs[1:]) < 15_000_000
    assert max(costs) > 35_000_000
    assert [one.target for one in found.targets] == [20_000_000, 45_000_000]


@pytest.mark.parametrize("strategy", [TPE, NSGA2])
def test_another_seed_proposes_others(strategy: type[Sampled]) -> None:
    def points(seed: int) -> list[object]:
        rounds, _ = follow(strategy(networks=8), problem(45_000_000, seed=seed), depth_is_best)
        return [one.point for round_ in rounds for one in round_.candidates]

    assert points(0) == points(0) != points(1)


def test_a_network_that_fails_is_no_model_and_the_search_goes_on() -> None:
    def fails_above(candidate: Candidate) -> Outcome:
        return Failed(reason="out of memory") if candidate.point.depth > 1.5 else depth_is_best(candidate)

    _, found = follow(TPE(networks=24, batch=8), problem(45_000_000), fails_above)
    assert isinstance(found.targets[0].outcome, Scored)


def test_where_no_network_is_close_enough_to_the_target_that_is_said() -> None:
    space = ToySpace()
    asked = Problem(space=space, axes={"width": space.axes["width"]}, targets=[25_000])
    with pytest.raises(RunFailed, match="no network within the target 25K turned up"):
        follow(TPE(networks=3, within=0.01), asked, lambda _: Scored(score=0.5))


@pytest.mark.parametrize("settings", [{"networks": 0}, {"within": 0.0}, {"batch": 0}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="networks and batch must be at least 1"):
        TPE(**settings)  # type: ignore[arg-type]


def test_what_is_not_grown_is_trained_from_random_weights_and_longer() -> None:
    rival = Config.model_validate({"search": {"targets": ["45M"], "strategy": "tpe"}})
    assert (rival.training.init, rival.training.epochs) == ("scratch", 10)
    told = Config.model_validate({"search": {"strategy": "tpe"}, "training": {"epochs": 3}})
    assert (told.training.init, told.training.epochs) == ("scratch", 3)
    ours = Config.model_validate({"search": {"targets": ["45M"]}})
    assert (ours.training.init, ours.training.epochs) == (None, 4)
    assert Config.model_validate(rival.model_dump(mode="json")) == rival
