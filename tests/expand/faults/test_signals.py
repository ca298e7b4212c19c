"""Real signals, closed terminals and broken pipes, to a real search with two workers."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from expand.config.base import load_config, to_yaml
from expand.config.search import Config
from expand.jobs.folder import read_attempts
from tests.expand.faults.processes import (
    Forked,
    alive,
    checksums,
    descendants,
    wait_for,
)
from tests.expand.faults.spaces import NAME
from tests.expand.runs import run_search, toy_config

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")]


@pytest.fixture
def config(tmp_path: Path, cache: Path) -> Path:
    """A search of a few trainings of about a second each, with two workers."""
    path = tmp_path / "mine.yaml"
    space = {"name": NAME, "settings": {"pause": 0.02, "faults": ["wide"]}}
    training = {"epochs": 20, "batch_size": 12}
    values = toy_config(
        cache, space=space, search={"targets": [1_000]}, training=training, run={"workers": 2}
    )
    path.write_text(to_yaml(values))
    return path


def at_work(run: Path, driver: int) -> list[int]:
    """Wait until a worker of a run trains; it, and all processes below the driver."""
    (job, *_) = wait_for(lambda: [*run.glob("checkpoints/*/progress.json")], 120)
    (attempt,) = read_attempts(job.parent)
    assert alive(attempt.process)
    return [attempt.process, *descendants(driver)]


def gone(processes: list[int]) -> bool:
    return bool(wait_for(lambda: not any(alive(process) for process in processes), 10))


@pytest.mark.fault("SIGINT, SIGTERM, SIGHUP", "130, 143, 129; no worker is left; resumable")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_stop_at_once_and_say_how_to_go_on(
    tmp_path: Path, config: Path, number: signal.Signals, code: int
) -> None:
    run = tmp_path / "run"
    process = Forked("search", "--config", config, "--out", run, output=tmp_path / "output")
    workers = at_work(run, process.pid)
    os.kill(process.pid, number)
    sent = time.monotonic()
    said = process.said(code)
    assert time.monotonic() - sent < 10
    assert gone(workers)
    assert said.strip().splitlines()[-1] == f"stopped; go on with: xpand resume {run}"
    assert "Traceback" not in said
    if number == signal.SIGINT:  # the others leave the same behind
        whole, _ = run_search(tmp_path / "whole", load_config(config, Config))
        Forked("resume", run, output=tmp_path / "more").said()
        assert checksums(run) == checksums(whole.folder)


@pytest.mark.fault("a terminal that is closed", "129; no worker is left")
def test_a_closed_terminal_ends_all(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    terminal, theirs = pty.openpty()
    search = ("search", "--config", config, "--out", run)
    process = Forked(*search, output=Path(os.ttyname(theirs)), before=_own_terminal)
    os.close(theirs)
    read_all = _drained(terminal)
    assert wait_for(lambda: read_all() and [*run.glob("checkpoints/*/progress.json")], 120)
    workers = at_work(run, process.pid)
    os.close(terminal)
    assert process.wait(30) == 129
    assert gone(workers)


@pytest.mark.fault("a broken pipe", "141; no worker is left; resumable")
def test_a_broken_pipe_ends_all(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    process = Forked("search", "--config", config, "--out", run, output=pipe)
    workers = at_work(run, process.pid)
    os.close(reader)
    assert process.wait(60) == 141
    assert gone(workers)
    status = Forked("status", run, output=tmp_path / "status").said()
    assert status.startswith(f"run       {run}\nsearch    expansion, ")
    assert "\nstate     in round " in status


@pytest.mark.fault("kill -9 of the driver", "no worker is left")
def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = Forked("search", "--config", config, "--out", run, output=tmp_path / "output")
    workers = at_work(run, process.pid)
    process.kill()
    assert gone(workers)


@pytest.mark.fault("two drivers on one run", "the second is refused with who holds it, exit 2")
def test_a_second_driver_is_refused(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = Forked("search", "--config", config, "--out", run, output=tmp_path / "output")
    at_work(run, process.pid)
    told = Forked("resume", run, output=tmp_path / "second").said(code=2)
    status = Forked("status", run, output=tmp_path / "status").said()
    since = status.split(f"driver    process {process.pid} on ")[1].split(";")[0]
    assert told == (
        f"error: {run} must have one driver, but process {process.pid} on {since}, has it: "
        "wait for it, or end it.\n"
    )
    assert ", since 20" in since
    process.kill()


def _drained(terminal: int) -> Callable[[], bool]:
    """Reads what a terminal shows, so that nobody waits for its reader."""
    os.set_blocking(terminal, False)

    def drain() -> bool:
        try:
            while os.read(terminal, 1 << 16):
                pass
        except OSError:
            pass
        return True

    return drain


def _own_terminal() -> None:
    """Makes the terminal that a process prints to its own, as that of a user's shell is."""
    os.setsid()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
