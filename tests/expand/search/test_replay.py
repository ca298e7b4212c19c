from __future__ import annotations

import pytest

from expand.jobs.job import Failure, Measurement, Result
from expand.search.base import Failed, Scored
from expand.search.replay import Replay, merged, outcome, worth_keeping
from expand.system.errors import UserError
from tests.expand.runs import toy_setup


def measurement(top1: float, **changes: object) -> Measurement:
    values = {
        "score": top1,
        "top1": top1, "top5": 1.0, "mean_class_accuracy": top1, "loss": 1.0, "train_loss": 1.0, "macs": 1,
        "params": 1, "activations": 1, "clips_seen": 24, "epochs": 1.0, "seconds": 1.0, "peak_memory": 1,
        "looped": 0, "micro_batch": 8, "latency": 0.01, "device": "cpu", "threads": 1, "host": "here",
    }  # fmt: skip
    return Measurement(**(values | changes))  # type: ignore[arg-type]


def answer(replay: Replay, results: dict[str, Result], top1: float) -> None:
    assert replay.current is not None
    for candidate, job in replay.current.missing(results):
        results[job.key] = measurement(top1 if candidate.axis == "width" else top1 / 2)
    replay.send(results)


def test_a_replay_ends_in_a_trajectory_and_remembers_every_job() -> None:
    replay, results = Replay(toy_setup()), dict[str, Result]()
    while replay.current is not None:
        answer(replay, results, 0.5)
    assert replay.trajectory is not None
    widths = [state.candidate.point.width for state in replay.trajectory.states]
    assert widths == [4, 5, 7, 9, 12]  # each the widest within twice the cost of the one before
    assert replay.trajectory.targets[0].candidate.point.width == 10
    assert {job.key for jobs in replay.jobs.values() for job in jobs} == set(results)


def test_a_job_is_named_by_what_decides_its_measurement() -> None:
    jobs = {
        Replay(toy_setup(**changes)).rounds[0].jobs[0].key
        for changes in (
            {},
            {"training": {"learning_rate": 0.3}},
            {"search": {"seed": 1, "targets": [4_000]}},
            {"space": {"settings": {"width": 5}}},
            {"data": {"flip": False}},
        )
    }
    assert len(jobs) == 5
    assert Replay(toy_setup(run={"workers": 3})).rounds[0].jobs[0].key in jobs
    assert Replay(toy_setup(search={"targets": [9_000]})).rounds[0].jobs[0].key in jobs


def test_a_job_says_how_its_clips_are_flipped() -> None:
    def swaps(**data: object) -> object:
        job = Replay(toy_setup(data=data)).rounds[0].jobs[0]
        return job.data["augmentation"]["swaps"]

    assert swaps(flip=False) is None
    assert swaps(flip_labels={"a": "c"}) == [2, 1, 0, *range(3, 12)]


def test_a_job_per_seed() -> None:
    jobs = Replay(toy_setup(search={"seeds": 3, "seed": 5})).rounds[0].jobs
    assert [job.seed for job in jobs] == [5, 6, 7]
    assert len({job.key for job in jobs}) == 3


def test_candidates_that_round_to_one_network_are_trained_once() -> None:
    setup = toy_setup(search={"axes": ["width", "tests.expand.toy:Wider"], "targets": [4_000]})
    replay, results = Replay(setup), dict[str, Result]()
    answer(replay, results, 0.1)
    assert replay.current is not None
    assert [candidate.axis for candidate in replay.current.round.candidates] == ["width", "wider"]
    assert len(replay.current.missing({})) == 1


GROWN: dict[str, dict[str, object]] = {
    "space": {"name": "tests.expand.toy:GrowingToySpace"},
    "training": {"init": "grown"},
}


def test_a_contracted_candidate_starts_from_the_network_that_it_was_contracted_from() -> None:
    search = {"targets": [1_500, 4_000], "seeds": 2, "settings": {"past_control": True}}
    replay, results = Replay(toy_setup(search=search, **GROWN)), dict[str, Result]()
    while replay.current is not None:
        answer(replay, results, 0.5)
    assert replay.trajectory is not None
    states = [found.state for found in replay.trajectory.targets if found.state is not None]
    assert [state.step for state in states] == [2, 4]
    for found, state in zip(replay.trajectory.targets, states, strict=True):
        grown = replay.jobs[state.candidate]
        assert [job.parent for job in replay.jobs[found.candidate]] == [job.key for job in grown]


def test_candidates_start_from_the_weights_of_the_same_seed() -> None:
    replay, results = Replay(toy_setup(search={"seeds": 2}, **GROWN)), dict[str, Result]()
    start = replay.rounds[0].jobs
    assert [job.parent for job in start] == [None, None]
    answer(replay, results, 0.1)
    assert replay.current is not None
    assert [one.name for one in replay.current.by_candidate] == ["frames", "width", "control"]
    for jobs in replay.current.by_candidate.values():
        assert [job.parent for job in jobs] == [job.key for job in start]


def test_nothing_grows_from_a_training_that_learned_nothing() -> None:
    replay, results = Replay(toy_setup(search={"seeds": 3}, **GROWN)), dict[str, Result]()
    start = replay.rounds[0].jobs
    for job, loss in zip(start, (2.0, 2.4, 1.0), strict=True):
        results[job.key] = measurement(0.3, train_loss=loss, guess_loss=2.5)
    replay.send(results)
    assert replay.current is not None
    first, stuck, third = (job.key for job in start)
    for jobs in replay.current.by_candidate.values():
        assert [job.parent for job in jobs] == [first, third, first]
    assert worth_keeping(start, results) == (start[0], start[2])
    assert stuck not in {job.parent for job in replay.current.jobs}


def test_from_scratch_no_training_has_a_parent() -> None:
    replay, results = Replay(toy_setup()), dict[str, Result]()
    while replay.current is not None:
        assert [job.parent for job in replay.current.jobs] == [None] * len(replay.current.jobs)
        assert replay.current.round.control is None
        answer(replay, results, 0.5)


def test_a_start_that_learned_nothing_is_trained_again_longer() -> None:
    replay, results = Replay(toy_setup(**GROWN)), dict[str, Result]()
    (first,) = replay.rounds[0].jobs
    results[first.key] = measurement(0.1, train_loss=2.48, guess_loss=2.5)
    replay.send(results)
    assert replay.current is not None
    (longer,) = replay.current.jobs
    assert longer.architecture == first.architecture
    assert (first.recipe["epochs"], longer.recipe["epochs"]) == (1.0, 3.0)
    results[longer.key] = measurement(0.3, train_loss=2.0, guess_loss=2.5)
    replay.send(results)
    assert {job.parent for job in replay.current.jobs} == {longer.key}
    assert [row.round.number for row in merged(replay.rounds)] == [0, 1]


def test_weights_can_only_grow_in_a_space_that_can_grow_them() -> None:
    with pytest.raises(UserError) as error:
        toy_setup(training={"init": "grown"})
    assert str(error.value) == (
        "training.init: grown needs a space that can grow weights, but tests.expand.toy:ToySpace has no "
        "method grow: set training.init to scratch, or add the method (search_spaces/base.py)."
    )


def test_the_outcome_is_the_mean_over_seeds_or_the_first_failure() -> None:
    assert outcome([measurement(0.25), measurement(0.75)]) == Scored(score=0.5)
    assert outcome([measurement(0.25), Failure(reason="nan"), Failure(reason="memory")]) == Failed(
        reason="nan"
    )
