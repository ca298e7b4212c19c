from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from expand.jobs.folder import read_attempts, read_result, write_job
from expand.jobs.job import Measurement, Place
from expand.search.replay import Replay
from expand.workers import Ended, Task, open_workers
from tests.expand.runs import prepared, toy_config

Folders = Callable[[int], list[Path]]


@pytest.fixture
def folders(cache: Path, tmp_path: Path) -> Folders:
    """Makes folders of jobs; the second's network takes a second to count its clips."""
    ready = prepared(toy_config(cache))
    place = Place(cache=str(ready.caches[0].folder), device="cpu", threads=1, keep_weights=False)
    job = Replay(ready.setup).rounds[0].jobs[0]

    def make(count: int, **changes: object) -> list[Path]:
        made = [tmp_path / str(number) for number in range(count)]
        for number, folder in enumerate(made):
            write_job(folder, replace(job, seed=number, **changes), place)  # type: ignore[arg-type]
        return made

    return make


def tasks(folders: list[Path]) -> list[Task]:
    return [Task(folder, limit=60.0) for folder in folders]


@pytest.mark.parametrize("count", [1, 2])
def test_every_job_has_a_result_when_it_is_yielded(folders: Folders, count: int) -> None:
    wanted = folders(3)
    with open_workers(count) as workers:
        done = []
        for ended in workers.run(tasks(wanted)):
            assert ended.lost is None
            assert isinstance(read_result(ended.folder), Measurement)
            done.append(ended.folder)
    assert sorted(done) == sorted(wanted)


def test_the_worker_in_this_process_keeps_the_order(folders: Folders) -> None:
    wanted = folders(3)
    with open_workers(1) as workers:
        assert list(workers.run(tasks(wanted))) == [Ended(folder) for folder in wanted]


@pytest.mark.slow
def test_a_worker_that_dies_loses_its_own_job_only(
    cache: Path, tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    suicide = tmp_path / "suicide.py"
    suicide.write_text(
        "import os\nfrom tests.expand.toy import ToySpace\n"
        "class Space(ToySpace):\n    def build(self, *args, **options): os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    good = folders(2)
    bad = tmp_path / "bad"
    bad.mkdir()
    job = (good[0] / "job.json").read_text()
    (bad / "job.json").write_text(job.replace("tests.expand.toy:ToySpace", "suicide:Space"))
    with open_workers(2) as workers:
        ended = {each.folder: each.lost for each in workers.run(tasks([bad, *good]))}
    reason = "the worker was ended by SIGKILL, which is what the system does when memory runs out, 4 times"
    assert ended == {bad: reason, good[0]: None, good[1]: None}
    assert all(isinstance(read_result(folder), Measurement) for folder in good)


@pytest.mark.slow
@pytest.mark.fault("kill -9 of a worker that has nothing to do", "another takes its place")
@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_a_worker_that_dies_between_two_rounds_is_replaced(folders: Folders, pause: float) -> None:
    first, second = folders(6)[:2], folders(6)[2:]
    with open_workers(2) as workers:
        assert len(list(workers.run(tasks(first)))) == 2
        for folder in first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(read_attempts(folder)[-1].process, signal.SIGKILL)
        time.sleep(pause)
        assert {ended.folder for ended in workers.run(tasks(second)) if ended.lost is None} == {*second}
    assert all(isinstance(read_result(folder), Measurement) for folder in second)
