from __future__ import annotations

from expand.jobs.job import Failure, Measurement, Result
from expand.search.base import Failed, Scored
from expand.search.replay import Replay, outcome
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


def test_a_contracted_candidate_starts_from_the_network_that_it_was_contracted_from() -> None:
    setup = toy_setup(search={"targets": [1_500, 4_000], "seeds": 2}, training={"init": "parent"})
    replay, results = Replay(setup), dict[str, Result]()
    while replay.current is not None:
        answer(replay, results, 0.5)
    assert replay.trajectory is not None
    states = [found.state for found in replay.trajectory.targets if found.state is not None]
    assert [state.step for state in states] == [2, 4]
    for found, state in zip(replay.trajectory.targets, states, strict=True):
        grown = replay.jobs[state.candidate]
        assert [job.parent for job in replay.jobs[found.candidate]] == [job.key for job in grown]


def test_candidates_start_from_the_base_with_the_same_seed_where_asked() -> None:
    replay, results = Replay(toy_setup(search={"seeds": 2}, training={"init": "parent"})), dict[str, Result]()
    start = replay.rounds[0].jobs
    assert [job.parent for job in start] == [None, None]
    answer(replay, results, 0.1)
    assert replay.current is not None
    for jobs in replay.current.by_candidate.values():
        assert [job.parent for job in jobs] == [job.key for job in start]


def test_the_outcome_is_the_mean_over_seeds_or_the_first_failure() -> None:
    assert outcome([measurement(0.25), measurement(0.75)]) == Scored(score=0.5)
    assert outcome([measurement(0.25), Failure(reason="nan"), Failure(reason="memory")]) == Failed(
        reason="nan"
    )
