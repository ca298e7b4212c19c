"""What a search found is trained again with fresh seeds."""

from __future__ import annotations

from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Trajectory
from expand.search.confirmation import then_confirmed
from expand.search.expansion import Expansion
from tests.expand.search.followed import followed
from tests.expand.toy import ToySpace

SPACE = ToySpace()


def search(
    confirm: int, *, targets: tuple[int, ...] = (120_000,), failing: str = "", test: bool = False
) -> tuple[list[Round], Trajectory]:
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=targets, seeds=(3, 4), confirm=confirm, test=test)

    def outcome(candidate: Candidate) -> Outcome:
        return Failed(reason="broke") if candidate.name == failing else Scored(score=candidate.cost / 1e9)

    return followed(
        then_confirmed(problem, Expansion().search(problem)),
        lambda round_: [outcome(training.candidate) for training in round_.trainings],
    )


def found_at(target: str) -> str:
    return f"target-{target}"


def test_each_network_found_but_the_start_is_trained_again_with_fresh_seeds() -> None:
    plain, found = search(0)
    rounds, _ = search(2)
    last = rounds[-1]
    assert [one.number for one in rounds] == [*(one.number for one in plain), plain[-1].number + 1]
    assert (last.kind, last.states, last.decisions) == ("confirmation", found.states, found.decisions)
    chosen = {f"{state.name}-fresh" for state in found.states[1:]} | {f"{found.targets[0].name}-fresh"}
    assert {one.candidate.name for one in last.trainings} == chosen
    used = {training.seed for round_ in plain for training in round_.trainings}
    for training in last.trainings:
        assert training.seed not in used
    assert len(last.trainings) == 2 * len(chosen)


def test_what_is_trained_again_is_no_candidate_of_the_search() -> None:
    rounds, found = search(2)
    searched = {candidate for round_ in rounds[:-1] for candidate in round_.candidates}
    assert set(found.confirmed) <= searched
    assert not set(found.confirmed.values()) & searched


def test_what_is_trained_again_grows_from_where_it_grew() -> None:
    _, found = search(1)
    assert set(found.confirmed) == {state.candidate for state in found.states[1:]} | {
        found.targets[0].candidate
    }
    for candidate, again in found.confirmed.items():
        assert (again.point, again.parent, again.axis) == (candidate.point, candidate.parent, candidate.axis)


def test_it_is_tested_where_there_are_test_videos_and_nothing_else_is() -> None:
    for there in (False, True):
        rounds, _ = search(1, test=there)
        assert {one.test for round_ in rounds[:-1] for one in round_.trainings} == {False}
        assert {one.test for one in rounds[-1].trainings} == {there}


def test_a_network_that_failed_is_not_trained_again() -> None:
    rounds, found = search(1, targets=(60_000, 120_000), failing=found_at("120K"))
    assert f"{found_at('120K')}-fresh" not in {one.candidate.name for one in rounds[-1].trainings}
    assert found.targets[0].candidate in found.confirmed
