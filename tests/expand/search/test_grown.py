"""Searches whose candidates grow from what their parent has learned: the start, the control, the stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from expand.search.base import (
    Failed,
    Outcome,
    Problem,
    Round,
    Scored,
    Training,
    Trajectory,
)
from expand.search.expansion import ATTEMPTS, Expansion
from expand.system.errors import RunFailed
from tests.expand.search.followed import followed
from tests.expand.toy import ToySpace

SPACE = ToySpace()
Table = Callable[[Training], Outcome]


def follow(
    table: Table, *, targets: tuple[int, ...] = (4_000,), seeds: tuple[int, ...] = (0,), past: bool = False
) -> tuple[list[Round], Trajectory]:
    """Run a search whose outcomes come from a table."""
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=targets, num_classes=12, seeds=seeds, grown=True)
    search = Expansion(past_control=past).search(problem)
    return followed(search, lambda round_: [table(training) for training in round_.trainings])


def better_with_cost(training: Training) -> Outcome:
    return Scored(score=training.candidate.cost / 10_000)


def test_each_round_trains_the_grown_network_too() -> None:
    rounds, trajectory = follow(better_with_cost)
    growths = [round_ for round_ in rounds if round_.kind == "expansion"]
    assert len(growths) == 3
    for round_, state in zip(growths, trajectory.states, strict=False):
        control = round_.control
        assert control is not None
        assert (control.name, control.axis) == ("control", None)
        assert control.point == state.candidate.point
        assert control.parent == state.candidate
        assert round_.candidates[-1] == control
    assert rounds[-1].control is None
    assert trajectory.stopped is None


def test_the_control_is_not_accepted_however_good_it_is() -> None:
    def table(training: Training) -> Outcome:
        return Scored(score=0.9 if training.candidate.name == "control" else 0.1)

    _, trajectory = follow(table, past=True)
    names = [state.candidate.name for state in trajectory.states]
    assert names[0] == "start"
    assert "control" not in names
    assert trajectory.stopped is None


def test_a_search_stops_where_growth_gives_nothing() -> None:
    def table(training: Training) -> Outcome:
        candidate = training.candidate
        grown = candidate.parent is not None and candidate.parent.name == "width"
        if candidate.name == "control":
            return Scored(score=0.52 if grown else 0.3)
        return Scored(score=0.5 if candidate.axis == "width" else 0.2)

    rounds, trajectory = follow(table, targets=(1_000, 4_000))
    assert [state.candidate.name for state in trajectory.states] == ["start", "width"]
    assert trajectory.stopped == (
        "no candidate of round 2 is better than the network it was grown from, trained on for as long "
        "(width 50.0%, control 52.0%): more epochs or seeds may tell them apart, and "
        "--set search.settings.past_control=true grows on regardless."
    )
    assert [round_.number for round_ in rounds] == [0, 1, 2]
    small, large = trajectory.targets
    assert small.candidate == large.candidate == trajectory.states[-1].candidate
    assert large.candidate.cost <= 1_000


def test_a_control_that_failed_stops_nothing() -> None:
    def table(training: Training) -> Outcome:
        if training.candidate.name == "control":
            return Failed(reason="out of memory")
        return better_with_cost(training)

    _, trajectory = follow(table)
    assert len(trajectory.states) == 4


def learned_from(number: int) -> tuple[list[tuple[str, int, float, float]], Table]:
    """A table in which the start learns at its n-th attempt, and the list of its trainings."""
    asked: list[tuple[str, int, float, float]] = []

    def table(training: Training) -> Outcome:
        candidate = training.candidate
        if candidate.parent is None:
            asked.append((candidate.name, training.seed, training.budget, training.rate))
            return Scored(score=0.1 * training.seed, learned=len(asked) > number)
        return better_with_cost(training)

    return asked, table


def test_the_start_is_trained_until_it_has_learned() -> None:
    asked, table = learned_from(3)
    rounds, trajectory = follow(table)
    assert asked == [
        ("start", 0, 1.0, 1.0),
        ("start-longer", 0, 3.0, 1.0),
        ("start-reseeded", 1_000, 3.0, 1.0),
        ("start-slower", 2_000, 3.0, 0.3),
    ]
    assert [round_.number for round_ in rounds[:5]] == [0, 0, 0, 0, 1]
    assert trajectory.states[0].candidate.name == "start-slower"


def test_one_seed_that_has_learned_is_enough() -> None:
    asked, table = learned_from(2)
    _, trajectory = follow(table, seeds=(1, 2, 3))
    assert len(asked) == 3
    assert trajectory.states[0].candidate.name == "start"
    assert trajectory.states[0].score == pytest.approx(0.2)  # the mean over all seeds


def test_a_start_that_never_learns_ends_the_search_with_what_to_do() -> None:
    asked, table = learned_from(99)
    with pytest.raises(RunFailed) as error:
        follow(table, seeds=(0, 1))
    assert len(asked) == 2 * len(ATTEMPTS)
    assert str(error.value) == (
        "the start must learn something before it is grown, but none of its 8 trainings did, not even with "
        "3 times the epochs: give it more epochs, more videos, or a larger start (space.settings or "
        "search.start), or let every candidate start from random weights (--set training.init=scratch)."
    )


def test_from_scratch_a_start_that_learned_nothing_is_grown_all_the_same() -> None:
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[4_000], num_classes=12)
    search = Expansion().search(problem)
    next(search)
    round_ = search.send([Scored(score=0.1, learned=False)])
    assert (round_.number, round_.control) == (1, None)
    assert [candidate.name for candidate in round_.candidates] == ["frames", "width"]
