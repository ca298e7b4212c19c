"""The supervisor with an engine whose jobs never end, and a clock that the engine moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from expand.jobs.folder import read_result
from expand.jobs.job import Failure
from expand.workers import Ended, Task
from expand.workers.supervisor import Supervised


class Hanging:
    """Starts jobs that hang; each wait takes the next of `seconds`, as the clock shows it."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self._seconds = iter(seconds)
        self.time = 0.0
        self.waits = 0

    def has_room(self) -> bool:
        return True

    def start(self, folder: Path) -> None:
        pass

    def began(self, folder: Path, /) -> bool:
        return True

    def wait(self, seconds: float) -> Sequence[tuple[Path, str | None]]:
        self.time += next(self._seconds)
        self.waits += 1
        return ()

    def end(self, folder: Path) -> None:
        pass


def waits_until_ended(seconds: Sequence[float], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    engine = Hanging(seconds)
    monkeypatch.setattr("expand.workers.supervisor.time.monotonic", lambda: engine.time)
    assert [*Supervised(engine).run([Task(folder, limit=60.0)])] == [Ended(folder)]
    result = read_result(folder)
    assert isinstance(result, Failure)
    assert "it had not ended after 1 min 0 s" in result.reason
    return engine.waits


def test_a_job_that_hangs_is_ended_after_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits_until_ended([10.0] * 100, tmp_path, monkeypatch) == 8  # the first finds that it has begun


def test_the_time_in_which_the_machine_was_paused_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the driver nor its workers run in a machine that was paused, but its clock goes on."""
    assert waits_until_ended([10.0, 10.0, 3600.0, *[10.0] * 100], tmp_path, monkeypatch) == 6
