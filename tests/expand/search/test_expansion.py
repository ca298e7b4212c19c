"""The decisions of a search, told by tables instead of training.

The paper's path and its costs are from Feichtenhofer, CVPR 2020, and were measured on the released networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Trajectory
from expand.search.expansion import Expansion
from expand.system.errors import RunFailed, UserError
from search_spaces.x3d import X3DSpace, published
from tests.expand.search.followed import followed
from tests.expand.toy import Both, ToySpace

SPACE = X3DSpace()
X2D = 20_662_304

# The axis and the million MACs of each step from X2D past X3D-S.
PAPER = (
    ("bottleneck", 41.00),
    ("fast", 80.21),
    ("spatial", 153.40),
    ("depth", 303.56),
    ("fast", 605.26),
    ("temporal", 1208.7),
    ("temporal", 2415.4),
)

Table = Callable[[Candidate], Outcome]


def follow(
    space: object,
    targets: list[int],
    table: Table,
    axes: Mapping[str, object] | None = None,
    step: float = 2.0,
) -> tuple[list[Round], Trajectory]:
    """Run a search whose outcomes come from a table."""
    chosen = axes if axes is not None else space.axes  # type: ignore[attr-defined]
    problem = Problem(space=space, axes=chosen, targets=targets)  # type: ignore[arg-type]
    search = Expansion(step=step).search(problem)
    return followed(search, lambda round_: [table(candidate) for candidate in round_.candidates])


def replay(path: list[str], targets: list[int]) -> tuple[list[Round], Trajectory]:
    search = Expansion().search(Problem(space=SPACE, axes=SPACE.axes, targets=targets))
    rounds = [next(search)]
    outcomes: list[Outcome] = [Scored(score=0.2)]
    while True:
        try:
            rounds.append(search.send(outcomes))
        except StopIteration as end:
            return rounds, end.value
        winner = path[len(rounds) - 2] if rounds[-1].kind == "expansion" else None
        outcomes = [Scored(score=0.9 if c.axis == winner else 0.1) for c in rounds[-1].candidates]


def test_favouring_the_papers_axes_visits_its_states_and_contracts_to_s() -> None:
    rounds, trajectory = replay([axis for axis, _ in PAPER], targets=[2_000_000_000])
    assert [state.candidate.axis for state in trajectory.states] == [None, *(axis for axis, _ in PAPER)]
    assert trajectory.states[0].candidate.macs == X2D
    for state, (_, millions) in zip(trajectory.states[1:], PAPER, strict=True):
        assert state.candidate.macs / 1e6 == pytest.approx(millions, abs=0.005 if millions < 1000 else 0.05)
    assert [round_.kind for round_ in rounds] == ["start"] + 7 * ["expansion"] + ["contraction"]

    (found,) = trajectory.targets
    small = published("x3d-s").factors
    assert SPACE.architecture(found.candidate.point) == SPACE.architecture(small)
    assert SPACE.sampling(found.candidate.point) == SPACE.sampling(small)
    assert found.candidate.macs / 1e6 == pytest.approx(1962.9, abs=0.05)
    assert found.state is trajectory.states[-1]


def test_xs_is_a_state_on_the_papers_path() -> None:
    cost = SPACE.complexity(SPACE.architecture(published("x3d-xs").factors)).macs
    _, trajectory = replay([axis for axis, _ in PAPER], targets=[cost])
    (found,) = trajectory.targets
    assert found.candidate is trajectory.states[5].candidate
    assert SPACE.architecture(found.candidate.point) == SPACE.architecture(published("x3d-xs").factors)
    assert SPACE.sampling(found.candidate.point) == SPACE.sampling(published("x3d-xs").factors)


def test_targets_share_the_forward_path_and_are_contracted_in_one_last_round() -> None:
    rounds, trajectory = replay(
        [axis for axis, _ in PAPER], targets=[100_000_000, 60_000_000, 2_000_000_000, 60_000_000]
    )
    assert sum(round_.kind == "expansion" for round_ in rounds) == 7
    assert [found.target for found in trajectory.targets] == [60_000_000, 100_000_000, 2_000_000_000]
    assert [found.state and found.state.step for found in trajectory.targets] == [2, 3, 7]
    assert [found.name for found in trajectory.targets] == ["target-60M", "target-100M", "target-2G"]
    # Two frames cannot shrink to fit 60 M but by becoming one: that is the state before.
    assert trajectory.targets[0].candidate is trajectory.states[1].candidate
    assert [candidate.name for candidate in rounds[-1].candidates] == ["target-100M", "target-2G"]


def test_a_candidate_knows_the_network_that_it_was_grown_or_contracted_from() -> None:
    rounds, trajectory = replay([axis for axis, _ in PAPER], targets=[100_000_000, 2_000_000_000])
    states = trajectory.states
    assert rounds[0].candidates[0].parent is None
    assert rounds[0].parents == rounds[0].states == ()
    for before, round_ in zip(states, rounds[1:-1], strict=False):
        assert {candidate.parent for candidate in round_.candidates} == {before.candidate}
        assert round_.parents == (before,)
        assert round_.states[-1] is before
    # The smaller target is passed by the third step, the larger one by the seventh.
    small, large = rounds[-1].candidates
    assert (small.parent, large.parent) == (states[3].candidate, states[7].candidate)
    assert rounds[-1].parents == (states[3], states[7])
    assert rounds[-1].states == states


def test_the_start_meets_a_target_of_its_own_cost() -> None:
    rounds, trajectory = follow(SPACE, [X2D], lambda _: Scored(score=0.3))
    assert len(rounds) == 1
    assert trajectory.targets[0].candidate is trajectory.states[0].candidate
    assert trajectory.targets[0].outcome == Scored(score=0.3)


def test_a_tie_goes_to_the_cheaper_candidate() -> None:
    rounds, trajectory = follow(SPACE, [30_000_000], lambda _: Scored(score=0.5))
    cheapest = min(candidate.macs for candidate in rounds[1].candidates)
    assert trajectory.states[1].candidate.macs == cheapest


def test_a_tie_of_score_and_cost_goes_to_the_earlier_axis() -> None:
    rounds, trajectory = follow(
        SPACE, [30_000_000], lambda c: Scored(score=0.5 if c.axis in ("fast", "temporal", None) else 0.1)
    )
    fast, temporal = rounds[1].candidates[:2]
    assert (fast.axis, temporal.axis, fast.macs) == ("fast", "temporal", temporal.macs)
    assert trajectory.states[1].candidate is fast


def test_a_failed_candidate_never_wins() -> None:
    _, trajectory = follow(
        SPACE,
        [30_000_000],
        lambda c: Scored(score=0.01) if c.axis in (None, "width") else Failed(reason="out of memory"),
    )
    assert trajectory.states[1].candidate.axis == "width"


def test_a_round_in_which_all_fail_ends_the_run_with_the_reasons() -> None:
    axes = {name: SPACE.axes[name] for name in ("fast", "width")}
    with pytest.raises(RunFailed) as caught:
        follow(SPACE, [30_000_000], lambda c: Failed(reason="nan") if c.axis else Scored(score=0.1), axes)
    assert str(caught.value) == "every candidate of round 1 failed: fast: nan; width: nan."


def test_a_target_whose_contraction_failed_is_kept_with_the_reason() -> None:
    def table(candidate: Candidate) -> Outcome:
        return Failed(reason="nan") if candidate.name == "target-30M" else Scored(score=0.1)

    _, trajectory = follow(SPACE, [30_000_000, 100_000_000], table)
    assert trajectory.targets[0].outcome == Failed(reason="nan")
    assert isinstance(trajectory.targets[1].outcome, Scored)


def test_axes_can_be_switched_off() -> None:
    axes = {name: SPACE.axes[name] for name in ("depth", "spatial")}
    rounds, trajectory = follow(SPACE, [100_000_000], lambda _: Scored(score=0.1), axes)
    assert [candidate.axis for candidate in rounds[1].candidates] == ["depth", "spatial"]
    assert {state.candidate.axis for state in trajectory.states} <= {None, "depth", "spatial"}


def test_an_axis_that_cannot_grow_within_the_step_is_saturated() -> None:
    rounds, _ = follow(SPACE, [22_000_000], lambda _: Scored(score=0.1), step=1.5)
    assert rounds[1].saturated == ("fast", "temporal")  # a second frame costs 1.94 times as much


def test_no_axis_that_can_grow_ends_the_run() -> None:
    axes = {"fast": SPACE.axes["fast"]}
    with pytest.raises(RunFailed) as caught:
        follow(SPACE, [22_000_000], lambda _: Scored(score=0.1), axes, step=1.5)
    assert str(caught.value) == (
        "no axis can grow from step-0 (20.66 M MACs) within 1.5 × its cost, but the target is "
        "22 M MACs: allow more axes or a larger search.step."
    )


def test_a_space_and_a_seventh_axis_of_ones_own() -> None:
    space = ToySpace(width=8)
    rounds, trajectory = follow(
        space,
        [200_000],
        lambda c: Scored(score=0.9 if c.axis in ("both", None) else 0.1),
        {**space.axes, "both": Both()},
        step=3,
    )
    assert [candidate.axis for candidate in rounds[1].candidates] == ["frames", "width", "both"]
    assert [state.name for state in trajectory.states][:2] == ["step-0", "step-1-both"]


def test_target_below_the_start_says_both_numbers_and_what_to_change() -> None:
    with pytest.raises(UserError) as caught:
        Problem(space=SPACE, axes=SPACE.axes, targets=[9_000]).check_targets()
    assert str(caught.value) == (
        "target must be at least the start network's 20.66 M MACs, got 9 K: "
        "raise --target, or start from a smaller basis (for x3d by --set space.settings.size=… or frames)."
    )


def test_no_target_says_how_to_give_one() -> None:
    with pytest.raises(UserError) as caught:
        Problem(space=SPACE, axes=SPACE.axes, targets=[]).check_targets()
    assert str(caught.value) == (
        "a search needs at least one compute target, got none: give one, such as --target 80M."
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    scores=st.lists(st.integers(0, 99), min_size=60, max_size=60),
    targets=st.lists(st.integers(X2D, 30 * X2D), min_size=1, max_size=3),
)
def test_whatever_is_measured_every_target_is_met_within_its_budget(
    scores: list[int], targets: list[int]
) -> None:
    def table(candidate: Candidate) -> Outcome:
        score = scores[candidate.macs % len(scores)]
        return (
            Failed(reason="drawn") if score < 10 and candidate.axis == "depth" else Scored(score=score / 100)
        )

    rounds, trajectory = follow(SPACE, targets, table)
    for found in trajectory.targets:
        assert trajectory.states[0].candidate.macs <= found.candidate.macs <= found.target
    for round_ in rounds[1:]:
        if round_.kind == "expansion":
            base = round_.states[-1].candidate
            assert all(base.macs < candidate.macs <= 2 * base.macs for candidate in round_.candidates)
    costs = [state.candidate.macs for state in trajectory.states]
    assert costs == sorted(costs)
    assert follow(SPACE, targets, table)[1] == trajectory


def test_candidates_of_one_cost_are_compared_where_they_are_to_match() -> None:
    def costs(match: bool) -> list[int]:
        problem = Problem(space=SPACE, axes=SPACE.axes, targets=[80_000_000], match=match)
        search = Expansion().search(problem)
        next(search)
        return [candidate.cost for candidate in search.send([Scored(score=0.2)]).candidates]

    loose, matched = costs(match=False), costs(match=True)
    assert len(matched) == len(loose)
    assert min(matched) <= min(loose) <= max(matched)
    assert sum(matched) < sum(loose)
    for cost, before in zip(matched, loose, strict=True):
        assert abs(cost - min(loose)) <= before - min(loose)
    assert min(matched) > X2D


def test_a_candidate_that_cannot_match_stays_as_it_is() -> None:
    """The toy's frames come in whole numbers: from one to two doubles the cost, and there is none between."""
    problem = Problem(space=ToySpace(), axes=ToySpace().axes, targets=[120_000], match=True)
    search = Expansion().search(problem)
    next(search)
    loose = Problem(space=ToySpace(), axes=ToySpace().axes, targets=[120_000])
    other = Expansion().search(loose)
    next(other)
    score: list[Outcome] = [Scored(score=0.2)]
    assert [one.point for one in search.send(score).candidates] == [
        one.point for one in other.send(score).candidates
    ]
