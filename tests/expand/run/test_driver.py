"""Whole searches, small ones: real clips, real training, real processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import torch

import expand
from expand.jobs.folder import write_result
from expand.jobs.job import Failure, Result
from expand.run.driver import drive, train_round
from expand.run.preparation import decode, plan
from expand.run.record import read_run
from expand.run.resources import Machine
from expand.run.study import Run
from expand.search.forecast import Clock
from expand.search.replay import Replay
from expand.system.errors import RunFailed, UserError
from expand.workers import Ended, Task
from tests.expand.faults.processes import checksums
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config
from tests.expand.search.test_replay import measurement


def test_a_search_ends_with_a_model_for_each_state_and_target(tmp_path: Path, cache: Path) -> None:
    config = toy_config(cache, search={"targets": [1_500, 4_000]})
    run, trajectory = run_search(tmp_path / "run", config)
    names = [state.name for state in trajectory.states] + ["target-1.5K", "target-4K"]
    assert sorted(run.models()) == sorted(names)
    for name, path in run.models().items():
        model = expand.load_model(path, weights=True)
        assert sum(p.numel() for p in model.parameters()) > 0, name
    assert all(found.candidate.macs <= found.target for found in trajectory.targets)
    kept = {path.stat().st_ino for path in (run.folder / "checkpoints").glob("*/weights.safetensors")}
    assert kept == {path.with_suffix(".safetensors").stat().st_ino for path in run.models().values()}


@pytest.mark.slow
def test_the_decisions_do_not_depend_on_the_number_of_workers(tmp_path: Path, cache: Path) -> None:
    alone, path = run_search(tmp_path / "one", toy_config(cache))
    several, same_path = run_search(tmp_path / "three", toy_config(cache, run={"workers": 3}))
    assert path == same_path
    assert checksums(alone.folder) == checksums(several.folder)


def test_nothing_finished_is_trained_again(tmp_path: Path, cache: Path) -> None:
    config = toy_config(cache)
    ready = prepared(config)
    whole, _ = run_search(tmp_path / "whole", config)

    class Stop(BaseException):
        pass

    class Stopping(Quiet):
        def finished(self, job, result) -> None:  # type: ignore[no-untyped-def]
            super().finished(job, result)
            if len(self.trained) == 3:
                raise Stop

    run, first, second = Run.create(tmp_path / "run", config, ready.setup.data), Stopping(), Quiet()
    with pytest.raises(Stop):
        drive(run, ready, SPEED, first)
    assert len(first.trained) == len(run.results()) == 3  # each is recorded when it is there
    drive(run, ready, SPEED, second)
    assert not set(first.trained) & set(second.trained)
    assert checksums(run.folder) == checksums(whole.folder)
    third = Quiet()
    drive(run, ready, SPEED, third)
    assert third.trained == []


def test_a_result_that_a_killed_driver_did_not_record_is_taken_over(tmp_path: Path, cache: Path) -> None:
    config = toy_config(cache)
    whole, _ = run_search(tmp_path / "whole", config)
    ready = prepared(config)
    run = Run.create(tmp_path / "run", config, ready.setup.data)
    for folder in (whole.folder / "checkpoints").iterdir():
        target = run.folder / "checkpoints" / folder.name
        target.mkdir()
        for name in ("result.json", "weights.safetensors"):
            if (folder / name).exists():
                (target / name).write_bytes((folder / name).read_bytes())
    drive(run, replace(ready, machine=replace(ready.machine, device="nowhere")), SPEED, Quiet())
    assert len(run.results()) == len(whole.results())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nan", "the training loss is nan at step 0, 0 clips in"),
        ("raise", "RuntimeError: this network is broken"),
    ],
)
def test_a_candidate_that_fails_is_recorded_and_the_search_goes_on(
    tmp_path: Path, cache: Path, fault: str, reason: str
) -> None:
    config = toy_config(
        cache,
        space={"settings": {"fault": fault, "fault_above": 4}},
        search={"targets": [1_000]},
    )
    run, trajectory = run_search(tmp_path / "run", config)
    assert [state.candidate.axis for state in trajectory.states] == [None, "frames"]
    rows = {row.network.candidate: row for row in read_run(run.folder).rounds}
    assert rows["width"].state == "failed"
    assert rows["width"].reason == reason
    assert rows["width"].seeds.mean is None


class Losing:
    """Workers that give all jobs but the first a failure, and lose the first."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        for task in tasks[1:]:
            write_result(task.folder, Failure(reason="nan"))
            yield Ended(task.folder)
        yield Ended(tasks[0].folder, lost="killed")


def test_a_candidate_that_workers_are_lost_at_fails_where_another_has_a_result(
    tmp_path: Path, cache: Path
) -> None:
    """Also where nobody adds up results meanwhile: a round knows what it has recorded."""
    ready = prepared(toy_config(cache))
    run = Run.create(tmp_path / "run", ready.setup.config, ready.setup.data)
    replay, clock = Replay(ready.setup), Clock(ready.setup, SPEED, 1)
    assert replay.current is not None
    (start,) = replay.current.jobs
    replay.send({start.key: measurement(0.5)})
    assert replay.current is not None
    before = MappingProxyType(dict[str, Result]())
    ended = list(train_round(run, ready, replay.current, before, Losing(), clock))
    assert [result for _, result in ended] == [Failure(reason="nan"), Failure(reason="killed")]
    assert run.results() == {job.key: result for job, result in ended}


def test_all_workers_lost_ends_a_round_without_a_result(tmp_path: Path, cache: Path) -> None:
    ready = prepared(toy_config(cache))
    run = Run.create(tmp_path / "run", ready.setup.config, ready.setup.data)
    replay, clock = Replay(ready.setup), Clock(ready.setup, SPEED, 1)
    assert replay.current is not None
    with pytest.raises(RunFailed) as caught:
        list(train_round(run, ready, replay.current, {}, Losing(), clock))
    assert str(caught.value) == "all workers were lost: killed; check the machine and resume."
    assert run.results() == {}


def test_all_candidates_failing_ends_the_run_with_the_reasons(tmp_path: Path, cache: Path) -> None:
    config = toy_config(cache, space={"settings": {"fault": "raise", "fault_above": 0}})
    with pytest.raises(RunFailed) as caught:
        run_search(tmp_path / "run", config)
    assert str(caught.value) == (
        "every candidate of round 0 failed: start: RuntimeError: this network is broken."
    )
    record = read_run(tmp_path / "run")
    assert record.problem == str(caught.value)
    assert not record.finished


def test_several_seeds_decide_by_their_mean(tmp_path: Path, cache: Path) -> None:
    run, trajectory = run_search(tmp_path / "run", toy_config(cache, search={"seeds": 2, "targets": [900]}))
    frames = expand.load_run(run.folder)
    starts = frames.trials[frames.trials.candidate == "start"]
    assert list(starts.seed) == [0, 1]
    assert trajectory.states[0].score == pytest.approx(starts.top1.mean())
    start = frames.rounds[frames.rounds.candidate == "start"].iloc[0]
    assert start.top1_std == pytest.approx(starts.top1.std())


def test_candidates_can_start_from_their_parents_weights(tmp_path: Path, cache: Path) -> None:
    config = toy_config(
        cache,
        space={"name": "tests.expand.toy:GrowingToySpace"},
        training={"init": "grown", "learning_rate": 1.0, "epochs": 20},
        search={"targets": [1_000], "settings": {"past_control": True}},
    )
    run, _ = run_search(tmp_path / "run", config)
    logs = [path.read_text() for path in (run.folder / "checkpoints").glob("*/log.txt")]
    assert sum("grown from" in log for log in logs) == len(logs) - 1
    kept = [*(run.folder / "checkpoints").glob("*/weights.safetensors")]
    assert len(kept) == len(run.models()) - 1  # the network of the target is an accepted one


def test_data_that_changed_under_a_run_are_refused(tmp_path: Path, cache: Path) -> None:
    wanted = prepared(toy_config(cache)).setup.data
    decode(plan(toy_config(cache)), Quiet().caching, wanted)
    other = toy_config(cache, data={"format": "synthetic", "synthetic": {"train": 24, "val": 13, "size": 32}})
    now = prepared(other).setup.data
    with pytest.raises(UserError) as caught:
        decode(plan(other), Quiet().caching, wanted)
    assert str(caught.value) == (
        "the videos of synthetic must be as when the run was started, but their checksum is "
        f"{now.checksum[:12]} and was {wanted.checksum[:12]}: put them back, or start another run."
    )


def test_equal_videos_of_which_others_are_bad_are_refused(cache: Path) -> None:
    """As another FFmpeg may find them."""
    now = prepared(toy_config(cache)).setup.data
    with pytest.raises(UserError) as caught:
        decode(plan(toy_config(cache)), Quiet().caching, replace(now, train=now.train + 1))
    assert str(caught.value) == (
        "the data must be as when the run was started, synthetic with 25 + 12 videos of 12 classes and "
        f"checksum {now.checksum[:12]}, but it is synthetic with 24 + 12 videos of 12 classes and checksum "
        f"{now.checksum[:12]}: put the videos back, or start another run."
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        plan(toy_config(run={"device": "cuda"}))
    assert str(caught.value) == (
        "run.device must be one that torch finds on this machine, got cuda: "
        "install a torch that supports it, or choose cpu or auto."
    )


def test_cores_are_shared_out_between_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expand.run.resources.cores", lambda: 8)
    options = {"workers": None, "threads": None}
    assert Machine.of(toy_config(run=options)) == Machine(workers=6, threads=1, device="cpu")
    assert Machine.of(toy_config(run=options | {"workers": 2})).threads == 4
    assert Machine.of(toy_config(run=options | {"workers": 2, "threads": 1})).threads == 1


@pytest.mark.parametrize(
    ("cores", "gigabytes", "workers", "share"), [(16, 80, 4, 0.225), (16, 24, 2, 0.45), (2, 8, 1, 1.0)]
)
def test_workers_share_a_gpu_that_has_memory_for_them(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, workers: int, share: float
) -> None:
    monkeypatch.setattr("expand.run.resources.cores", lambda: cores)
    monkeypatch.setattr("expand.training.devices.has_device", lambda _: True)
    monkeypatch.setattr("expand.training.memory.device_bytes", lambda: gigabytes * 10**9)
    options = {"workers": None, "threads": None, "device": "cuda"}
    machine = Machine.of(toy_config(run=options))
    assert machine == Machine(workers=workers, threads=cores // workers, device="cuda")
    assert machine.memory_share == share
    assert Machine.of(toy_config(run=options | {"workers": 1})).memory_share == 1.0
