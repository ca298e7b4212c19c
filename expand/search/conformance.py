"""Checks that every strategy and every cost must pass, including a user's own; nothing is trained.

    check_cost(MyCost(), X3DSpace())
    space = X3DSpace()
    check_strategy(MyStrategy, Problem(space=space, axes=space.axes, targets=[80_000_000]))

Each raises an AssertionError whose message says which property is violated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from expand.config.spaces import Space
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Strategy, Trajectory
from expand.search.costs import Cost
from expand.system.errors import RunFailed

_MOST_ROUNDS = 1_000
_STEPS = 8  # steps along an axis at which `check_cost` compares costs
# Columns of a run's tables; a cost of the same name would hide them.
_TAKEN = ("frames", "stride", "size", "seeds", "loss", "seconds", "latency", "score", "top1", "state")
_Score = Callable[[Candidate], Outcome]


def check_cost(cost: Cost, space: Space, num_classes: int = 10) -> None:
    """Check that a cost is an integer above 0, never falls along an axis, and has short texts for files.

    Also check that its name can be the name of a column in a run's tables.
    """
    assert cost.name.isidentifier(), f"the name must be letters, digits and underscores, got {cost.name!r}"
    assert cost.name not in _TAKEN, f"the name must be none of {', '.join(_TAKEN)}, got {cost.name!r}"
    for name, axis in space.axes.items():
        point, before = space.start, cost.value(space, space.start, num_classes)
        assert isinstance(before, int), f"the cost of the start must be a whole number, got {before!r}"
        assert before > 0, f"the cost of the start must be above 0, got {before}"
        for _ in range(_STEPS):
            moved = axis.move(space, point, 1)
            if moved is None:
                break
            value = cost.value(space, moved, num_classes)
            assert value >= before, (
                f"the cost must not fall along {name}, but it goes from {before} to {value}"
            )
            point, before = moved, value
    short = cost.short(cost.value(space, space.start, num_classes))
    assert re.fullmatch(r"[\w.-]+", short), (
        f"short must give letters, digits, dots and hyphens, got {short!r}"
    )


def check_strategy(make: Callable[[], Strategy], problem: Problem) -> None:
    """Check that a strategy is pure, handles failures, and finds a trained network within each target.

    Also that rounds are numbered in order, and that candidates have unique names and state their true cost.

    Args:
        make: returns a new strategy, always with the same settings.
        problem: a problem that the strategy can solve.
    """
    rounds, found = _followed(make(), problem, _drawn)
    again, same = _followed(make(), problem, _drawn)
    assert again == rounds, "equal outcomes must give equal rounds"
    assert same == found, "equal outcomes must give an equal result"
    measured = {candidate for round_ in rounds for candidate in round_.candidates}
    numbers = [round_.number for round_ in rounds]
    assert numbers == sorted(numbers), f"rounds must be numbered in order, got {numbers}"
    assert numbers[0] == 0, f"the first round must be number 0, got {numbers[0]}"
    for round_ in rounds:
        names = [candidate.name for candidate in round_.candidates]
        assert len(set(names)) == len(names), f"candidates of a round must have names of their own: {names}"
        for candidate in round_.candidates:
            counted = problem.candidate(candidate.name, candidate.point)
            assert (candidate.macs, candidate.cost) == (counted.macs, counted.cost), (
                f"{candidate.name} must state its multiply-adds and its cost as they are"
            )
            assert candidate.axis is None or candidate.axis in problem.axes, (
                f"the axis of {candidate.name} must be one of the problem's or None, got {candidate.axis!r}"
            )
        for training in round_.trainings:
            assert 0 < training.budget <= 1, f"a budget must be a share in (0, 1], got {training.budget}"
    assert {state.candidate for state in found.states} <= measured, "an accepted state must be measured"
    wanted = sorted(set(problem.targets))
    assert [target.target for target in found.targets] == wanted, "each target must have one model, in order"
    for target in found.targets:
        assert target.candidate in measured, f"the model of {target.name} must be measured"
        assert target.candidate.cost <= target.target, f"the model of {target.name} must be within its target"
    _check_failures(make, problem)
    less = replace(problem, targets=[max(wanted)])
    _followed(make(), less, _drawn)


def _check_failures(make: Callable[[], Strategy], problem: Problem) -> None:
    """Check that no failed candidate is accepted, and that a search of failures alone raises RunFailed."""
    with suppress(RunFailed):  # a round of one may fail as a whole
        rounds, found = _followed(make(), problem, _some_fail)
        failed = {
            one for round_ in rounds for one in round_.candidates if isinstance(_some_fail(one), Failed)
        }
        accepted = {state.candidate for state in found.states}
        assert not failed & accepted, "a failed candidate must not be accepted"
    try:
        _followed(make(), problem, lambda _: Failed(reason="out of memory"))
    except RunFailed:
        return
    raise AssertionError("where every candidate fails, the search must raise RunFailed")


def _followed(strategy: Strategy, problem: Problem, score: _Score) -> tuple[list[Round], Trajectory]:
    """Run a whole search with made-up scores; its rounds and its result."""
    search = strategy.search(problem)
    rounds = [next(search)]
    while len(rounds) < _MOST_ROUNDS:
        outcomes: Sequence[Outcome] = [score(training.candidate) for training in rounds[-1].trainings]
        try:
            rounds.append(search.send(outcomes))
        except StopIteration as end:
            found = end.value
            break
    else:
        raise AssertionError(f"a search must end, but it has asked for {_MOST_ROUNDS} rounds")
    assert isinstance(found, Trajectory), f"a search must return a Trajectory, got {found!r}"
    return rounds, found


def _drawn(candidate: Candidate) -> Scored:
    """A score in [0, 1] that looks random, but always is the same for the same network."""
    digest = hashlib.sha256(repr(candidate.point).encode()).digest()
    return Scored(score=digest[0] / 255)


def _some_fail(candidate: Candidate) -> Outcome:
    """The outcome of `_drawn`, or a failure for about every third network except the start."""
    drawn = _drawn(candidate)
    fails = candidate.parent is not None and round(255 * drawn.score) % 3 == 0
    return Failed(reason="out of memory") if fails else drawn
