from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from expand.jobs import folder as jobs
from expand.jobs.folder import (
    alone,
    attempting,
    close_attempts,
    read_attempts,
    read_job,
    read_progress,
    read_result,
    write_job,
    write_result,
)
from expand.jobs.job import Failure, Place
from expand.search.replay import Replay
from expand.system.errors import RunFailed
from expand.system.files import replacing, write_atomic
from tests.expand.runs import toy_setup
from tests.expand.search.test_replay import measurement

JOB = Replay(toy_setup()).rounds[0].jobs[0]
PLACE = Place(cache="somewhere", device="cpu", threads=1, keep_weights=True)


def test_a_job_travels_as_json(tmp_path: Path) -> None:
    write_job(tmp_path / "job", JOB, PLACE)
    job, place = read_job(tmp_path / "job")
    assert (job, place) == (JOB, PLACE)
    assert job.key == JOB.key
    assert replace(job, seed=1).key != JOB.key


def test_writing_a_job_again_forgets_how_far_it_was(tmp_path: Path) -> None:
    write_job(tmp_path, JOB, PLACE)
    (tmp_path / "progress.json").write_text('{"step": 1, "clips": 3, "total": 9, "loss": 1.0}')
    assert read_progress(tmp_path) is not None
    write_job(tmp_path, JOB, PLACE)
    assert read_progress(tmp_path) is None


@pytest.mark.parametrize("result", [measurement(0.5), Failure(reason="nan", traceback="lines")])
def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path, result: object) -> None:
    assert read_result(tmp_path) is None
    write_result(tmp_path, result)  # type: ignore[arg-type]
    assert read_result(tmp_path) == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_what_fails_while_being_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_attempt_is_noted_with_who_and_how_long(tmp_path: Path) -> None:
    with attempting(tmp_path):
        (running,) = read_attempts(tmp_path)
        assert running.seconds is None
        assert running.process == os.getpid()
    (done,) = read_attempts(tmp_path)
    assert done == replace(running, seconds=done.seconds)
    assert done.seconds is not None
    assert done.seconds > 0
    assert close_attempts(tmp_path) == (done,)


def test_an_attempt_that_was_cut_off_lasted_to_its_last_report(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), attempting(tmp_path):
            raise KeyboardInterrupt
        (tmp_path / "progress.json").write_text("{}")
        started = read_attempts(tmp_path)[-1].started
        os.utime(tmp_path / "progress.json", (started + 5, started + 5))
        write_job(tmp_path, JOB, PLACE)
    assert [attempt.seconds for attempt in read_attempts(tmp_path)] == pytest.approx([5, 5])


def test_an_attempt_without_a_report_lasted_no_time(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), attempting(tmp_path):
        raise KeyboardInterrupt
    assert [attempt.seconds for attempt in close_attempts(tmp_path)] == [0.0]


def test_a_worker_that_keeps_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOCK_TIMEOUT", 0.2)
    before = FileLock(tmp_path / ".lock")
    with before:
        with pytest.raises(RunFailed) as nameless, alone(tmp_path):
            pass
        with attempting(tmp_path), pytest.raises(RunFailed) as named, alone(tmp_path):
            pass
    rest = "still works in it after 0.2 s: end that process and resume."
    assert str(nameless.value) == f"{tmp_path} must have one worker, but another process {rest}"
    me = f"process {os.getpid()} on {socket.gethostname()}"
    assert str(named.value) == f"{tmp_path} must have one worker, but {me} {rest}"
    with alone(tmp_path):
        assert before.is_locked is False
