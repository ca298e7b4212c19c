"""Which round further trainings settle, and what they are expected to give; by made-up scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from expand.search.base import Outcome, Problem, Round, Scored, Trajectory
from expand.search.beliefs import Posterior
from expand.search.decision import Decision, Noise
from expand.search.expansion import Expansion
from expand.search.race import to_settle
from expand.search.settling import expected_fall, most_settling
from tests.expand.toy import GrowingToySpace, ToySpace

Measure = Callable[[str, str, int], float]  # a score by branch, candidate and seed


def problem(
    *, settled: Mapping[str, int] | None = None, grown: bool = False, target: int = 70_000
) -> Problem:
    space = GrowingToySpace() if grown else ToySpace()
    return Problem(
        space=space,
        axes=space.axes,
        targets=(target,),
        seeds=range(3),
        least=2,
        grown=grown,
        settled=settled or {},
    )


def searched(asked: Problem, measure: Measure) -> tuple[list[tuple[Round, Sequence[Outcome]]], Trajectory]:
    """The rounds of a search with their outcomes, and its end."""
    search = Expansion(past_control=True).search(asked)
    rounds = list[tuple[Round, Sequence[Outcome]]]()
    round_ = next(search)
    while True:
        outcomes = [
            Scored(score=measure(round_.branch, one.candidate.name, one.seed)) for one in round_.trainings
        ]
        rounds.append((round_, outcomes))
        try:
            round_ = search.send(outcomes)
        except StopIteration as end:
            return rounds, end.value


def scattered(noise: Mapping[str, float], lead: float = 0.02) -> Measure:
    """Scores in which `frames` leads; how far the seeds scatter depends on the branch."""

    def measure(branch: str, name: str, seed: int) -> float:
        random = np.random.default_rng([seed, *branch.encode(), *name.encode()])
        return 0.5 + lead * (name == "frames") + float(random.normal(0, noise.get(branch, 0.001)))

    return measure


def decision_of(rounds: Trajectory, number: int) -> Decision:
    return next(one for one in rounds.decisions if one.round == number)


def test_a_branch_is_named_by_the_axes_grown_before() -> None:
    rounds, _ = searched(problem(), scattered({}))
    branches = {round_.number: round_.branch for round_, _ in rounds if round_.kind == "expansion"}
    assert [branches[1], branches[2]] == ["start", "frames"]


@pytest.mark.parametrize("grown", [False, True])
def test_a_settled_round_trains_those_that_may_be_best_with_seeds_of_their_own(grown: bool) -> None:
    noisy = scattered({"start": 0.05}, lead=0.0)
    rounds, before = searched(problem(grown=grown), noisy)
    settled, after = searched(problem(settled={"start": 2}, grown=grown), noisy)
    tied = to_settle(decision_of(before, 1))
    stages = [round_ for round_, _ in settled if any(one.settles for one in round_.trainings)]
    assert [stage.number for stage in stages] == [1, 1]
    assert {one.candidate.name for one in stages[0].trainings} == set(tied)
    assert [{one.seed for one in stage.trainings} for stage in stages] == [{5_000}, {5_001}]
    assert all(one.settles for stage in stages for one in stage.trainings)
    further = sum(len(stage.trainings) for stage in stages)
    assert decision_of(after, 1).trainings == decision_of(before, 1).trainings + further
    assert [round_ for round_, _ in settled[: len(rounds)] if round_.number == 0] == [rounds[0][0]]


def test_a_clear_round_is_settled_between_the_chosen_one_and_its_likeliest_rival() -> None:
    _, end = searched(problem(), scattered({}, lead=0.2))
    decision = decision_of(end, 1)
    assert decision.verdict == "clear"
    names = to_settle(decision)
    assert names[0] == decision.chosen == "frames"
    assert len(set(names)) == 2


def test_where_nothing_is_believed_all_candidates_are_trained() -> None:
    unknown = Decision(round=1, names=("a", "b", "c"), chosen="a", verdict="unknown", beliefs=None)
    assert to_settle(unknown) == ("a", "b", "c")


def test_a_settled_round_of_fixed_seeds_is_decided_by_what_is_believed() -> None:
    """With a fixed number of seeds the best mean decides, though not between means of different numbers."""
    fixed = replace(problem(settled={"start": 4}), least=3)

    def measure(branch: str, name: str, seed: int) -> float:
        lucky = 0.1 if name == "frames" and seed < 3 else 0.0
        return 0.5 + lucky + 0.04 * (name == "width") + 0.03 * (seed % 2)

    _, before = searched(replace(fixed, settled={}), measure)
    _, after = searched(fixed, measure)
    assert decision_of(before, 1).chosen == "frames"
    assert decision_of(after, 1).trainings == 6 + 4 * 2
    means = {
        name: np.mean([measure("start", name, seed) for seed in (0, 1, 2, 5_000, 5_001, 5_002, 5_003)])
        for name in ("frames", "width")
    }
    assert means["frames"] > means["width"]
    assert (decision_of(after, 1).verdict, decision_of(after, 1).chosen) == ("tie", "width")


def test_the_round_that_is_least_sure_is_settled() -> None:
    rounds, end = searched(problem(), scattered({"frames": 0.06}, lead=0.05))
    stage = most_settling(problem(), rounds, end.decisions, 20)
    assert stage is not None
    assert (stage.round, stage.branch) == (2, "frames")
    assert stage.names == to_settle(decision_of(end, 2))
    assert stage == most_settling(problem(), rounds, end.decisions, 20)
    regret = decision_of(end, 2).belief
    assert regret is not None
    assert 0 < stage.fall < regret.regret + 0.005


def test_nothing_is_settled_where_no_training_is_worth_it_or_there_are_too_few() -> None:
    rounds, end = searched(problem(), scattered({}, lead=0.2))
    assert most_settling(problem(), rounds, end.decisions, 20) is None
    rounds, end = searched(problem(), scattered({"start": 0.06}, lead=0.0))
    assert most_settling(problem(), rounds, end.decisions, 20) is not None
    assert most_settling(problem(), rounds, end.decisions, 1) is None


def known(deviations: Sequence[float], *, seeds: int, noise: float) -> Posterior:
    """Draws of true scores that are normal around 0 and known by so many seeds."""
    draws, size = 20_000, len(deviations)
    true = np.random.default_rng(0).standard_normal((draws, size)) * deviations
    return Posterior(
        told=tuple(range(size)),
        true=true - true.mean(axis=0),
        weights=np.full(draws, 1 / draws),
        seed_variance=np.full((draws, size), noise**2),
        video_variance=np.zeros(size),
        errors=np.full((draws, size), noise**2 / seeds),
        noise=Noise(),
    )


def test_very_many_seeds_leave_no_regret_among_those_that_are_trained() -> None:
    found = known([0.02, 0.02], seeds=2, noise=0.03)
    assert expected_fall(found, [0, 1], 10**6, paired=False) == pytest.approx(0.02 / np.sqrt(np.pi), rel=0.03)
    assert expected_fall(found, [0, 1], 10**6, paired=True) == pytest.approx(0.02 / np.sqrt(np.pi), rel=0.03)


def test_more_seeds_give_more_and_what_cannot_win_gives_nothing() -> None:
    found = known([0.02, 0.02, 0.02], seeds=2, noise=0.03)
    falls = [expected_fall(found, [0, 1], seeds, paired=True) for seeds in (1, 2, 8)]
    assert 0 < falls[0] < falls[1] < falls[2]
    assert expected_fall(found, [0, 1, 2], 2, paired=True) > falls[1]
    behind = replace(found, true=found.true - np.array([0.0, 1.0, 1.0]))
    assert expected_fall(behind, [0, 1], 8, paired=True) == pytest.approx(0, abs=1e-6)


def test_seeds_do_not_tell_what_the_videos_hide() -> None:
    found = known([0.02, 0.02], seeds=2, noise=0.03)
    hidden = replace(found, video_variance=np.full(2, 0.03**2), errors=found.errors + 0.03**2)
    plain, hid = (expected_fall(one, [0, 1], 4, paired=True) for one in (found, hidden))
    assert hid < plain / 2


def test_the_fall_that_is_said_is_the_fall_that_comes() -> None:
    """Over many searches with known true scores, the chosen ones get better by about as much as was said."""
    said, came = list[float](), list[float]()
    for world in range(150):
        random = np.random.default_rng([7, world])
        true = {name: 0.5 + float(random.normal(0, 0.02)) for name in ("frames", "width")}

        def measure(
            branch: str,
            name: str,
            seed: int,
            world: int = world,
            true: Mapping[str, float] = true,
        ) -> float:
            noise = np.random.default_rng([world, seed, *branch.encode(), *name.encode()])
            return true.get(name, 0.5) + float(noise.normal(0, 0.03))

        asked = problem(target=30_000)
        rounds, before = searched(asked, measure)
        stage = most_settling(asked, rounds, before.decisions, 2)
        if stage is None or stage.round != 1:
            continue
        _, after = searched(replace(asked, settled={"start": 1}), measure)
        said.append(stage.fall * len(stage.names))
        came.append(true[decision_of(after, 1).chosen] - true[decision_of(before, 1).chosen])
    assert len(said) > 50
    assert np.mean(said) == pytest.approx(np.mean(came), abs=0.0015)
