"""Real signals, closed terminals and broken pipes, to a real search with two workers."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from expand.config import Config, load_config, to_yaml
from tests.expand.faults.processes import (
    COMMAND,
    ROOT,
    alive,
    checksums,
    descendants,
    finish,
    start,
    wait_for,
    wait_for_run,
)
from tests.expand.faults.spaces import NAME
from tests.expand.runs import run_search, toy_config

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")]


@pytest.fixture
def config(tmp_path: Path, cache: Path) -> Path:
    """A search of six trainings of about two seconds each, with two workers."""
    path = tmp_path / "mine.yaml"
    space = {"name": NAME, "settings": {"pause": 0.02, "faults": ["wide"]}}
    training = {"epochs": 40, "batch_size": 12}
    values = toy_config(
        cache, space=space, search={"targets": [1_000]}, training=training, run={"workers": 2}
    )
    path.write_text(to_yaml(values))
    return path


def at_work(run: Path, driver: int) -> list[int]:
    """Wait until a worker of a run trains; all processes below the driver."""
    assert wait_for(lambda: [*run.glob("checkpoints/*/progress.json")], 120)
    found = descendants(driver)
    assert len(found) >= 2
    return found


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
    process = start("search", "--config", config, "--out", run)
    workers = at_work(run, process.pid)
    os.kill(process.pid, number)
    sent = time.monotonic()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output
    assert time.monotonic() - sent < 10
    assert gone(workers)
    assert output.strip().splitlines()[-1] == f"stopped; go on with: xpand resume {run}"
    assert "Traceback" not in output
    if number == signal.SIGINT:  # the others leave the same behind
        whole, _ = run_search(tmp_path / "whole", load_config(config, Config))
        finish("resume", run)
        assert checksums(run) == checksums(whole.folder)


@pytest.mark.fault("a terminal that is closed", "129; no worker is left")
def test_a_closed_terminal_ends_all(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvp(COMMAND[0], [*COMMAND, "search", "--config", str(config), "--out", str(run)])
    read_all = _drained(terminal)
    assert wait_for(lambda: read_all() and [*run.glob("checkpoints/*/progress.json")], 120)
    workers = descendants(pid)
    assert len(workers) >= 2
    os.close(terminal)
    assert wait_for(lambda: _ended(pid), 30) == [129]
    assert gone(workers)


@pytest.mark.fault("a broken pipe", "141; no worker is left; resumable")
def test_a_broken_pipe_ends_all(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = start("search", "--config", config, "--out", run, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    wait_for_run(run, process)
    workers = at_work(run, process.pid)
    process.stdout.close()
    assert process.wait(60) == 141
    assert gone(workers)
    assert finish("status", run).startswith(f"run       {run}\nstate     in round ")


@pytest.mark.fault("kill -9 of the driver", "no worker is left")
def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = start("search", "--config", config, "--out", run)
    workers = at_work(run, process.pid)
    process.kill()
    process.communicate()
    assert gone(workers)


@pytest.mark.fault("two drivers on one run", "the second is refused with who holds it, exit 2")
def test_a_second_driver_is_refused(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = start("search", "--config", config, "--out", run)
    wait_for_run(run, process)
    told = finish("resume", run, code=2)
    since = finish("status", run).split(f"driver    process {process.pid} on ")[1].split(";")[0]
    assert told == (
        f"error: {run} must have one driver, but process {process.pid} on {since}, has it: "
        "wait for it, or end it.\n"
    )
    assert ", since 20" in since
    process.kill()
    process.communicate()


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


def _ended(pid: int) -> list[int]:
    """The exit code of a child, once it has one."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return [os.waitstatus_to_exitcode(status)] if ended else []
