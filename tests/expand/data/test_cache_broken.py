"""Caches whose build is broken off, that are damaged, or that two runs want."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import filelock
import numpy as np
import pytest

from expand.data import cache as cache_module
from expand.data.cache_reader import open_built
from expand.system.child_processes import start_method
from expand.system.errors import RunFailed
from tests.expand.data.caches import Watcher, everything, opened, same
from tests.expand.data.slow_build import build

_DEADLINE = 20.0


def start_slow_build(motions: Path, cache: Path, processes: int) -> BaseProcess:
    """A build in a process group of its own, broken in as soon as two shards are there."""
    builder: BaseProcess = cast(Any, start_method()).Process(target=build, args=(motions, cache, processes))
    builder.start()
    wait_for(lambda: len(list(cache.glob("*/shard-*.json"))) >= 2 or builder.exitcode is not None)
    return builder


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "processes"), [(signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGINT, 2)]
)
def test_a_build_that_was_broken_off_goes_on(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, processes: int
) -> None:
    builder = start_slow_build(motions, tmp_path, processes)
    group = builder.pid
    assert group is not None
    os.kill(group, number)
    builder.join()
    assert builder.exitcode == (1 if number == signal.SIGINT else -number)  # 1: by a KeyboardInterrupt
    wait_for(lambda: group_is_gone(group))  # its processes end with it
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (folder / "index.json").exists()
    with pytest.raises(RunFailed) as caught:
        open_built(folder)
    assert str(caught.value) == (
        f"the cache {folder} must be built, but has no index: start or resume the run to build it."
    )
    finished = {
        path.with_suffix(".bin"): path.with_suffix(".bin").stat().st_mtime_ns
        for path in folder.glob("shard-*.json")
    }
    assert len(finished) < 18

    monkeypatch.setattr(cache_module, "SHARD_BYTES", (1, 1))
    cached = opened(motions, tmp_path)
    assert cached.folder == folder
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert not list(folder.glob(".*.partial"))
    assert same(cached, opened(motions, tmp_path / "other"))


def test_a_damaged_shard_is_named_and_built_again(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SHARD_BYTES", (1, 1))
    cached = opened(motions, tmp_path)
    frames = everything(cached.train)
    content = bytearray((cached.folder / "shard-0001.bin").read_bytes())
    content[100] ^= 1
    (cached.folder / "shard-0001.bin").write_bytes(content)
    untouched = (cached.folder / "shard-0000.bin").stat().st_mtime_ns
    watcher = Watcher()
    repaired = opened(motions, tmp_path, on_progress=watcher)
    assert watcher.notes[0] == f"shard-0001.bin in {cached.folder} damaged: built again"
    assert all(map(np.array_equal, everything(repaired.train), frames))
    assert (cached.folder / "shard-0000.bin").stat().st_mtime_ns == untouched


def test_a_shard_of_another_size_is_not_used(motions: Path, tmp_path: Path) -> None:
    cached = opened(motions, tmp_path)
    shard = cached.folder / "shard-0000.bin"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(RunFailed) as caught:
        open_built(cached.folder)
    assert str(caught.value) == (
        f"{shard} must have {cached.bytes:,} bytes, but it is damaged: start or resume the run to build it "
        "anew."
    )
    assert opened(motions, tmp_path).bytes == cached.bytes


def test_a_run_waits_for_another_that_builds_the_same(motions: Path, tmp_path: Path) -> None:
    folder = opened(motions, tmp_path).folder
    watcher = Watcher()
    lock = filelock.FileLock(tmp_path / f"{folder.name}.lock")
    with lock:
        run = threading.Thread(target=opened, args=(motions, tmp_path), kwargs={"on_progress": watcher})
        run.start()
        wait_for(lambda: bool(watcher.notes))
        assert run.is_alive()
    run.join(_DEADLINE)
    assert not run.is_alive()
    assert watcher.notes == ["another run builds the same cache: waiting for it"]
