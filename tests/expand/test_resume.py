"""Real signals to a real search."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expand.config import to_yaml
from tests.expand.runs import toy_config

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from expand.cli import main; main()", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*arguments: object) -> str:
    process = start(*arguments)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def checksums(run: Path) -> dict[str, str]:
    models = run / "models"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.iterdir())}


def wait_for_run(run: Path, process: subprocess.Popen[str]) -> None:
    while not (run / "driver.json").exists() and process.poll() is None:
        time.sleep(0.02)


@pytest.fixture
def config(tmp_path: Path, cache: Path) -> Path:
    """Small steps, so that there are many rounds to be killed in; two workers."""
    path = tmp_path / "mine.yaml"
    search = {"targets": [3_000, 6_000], "step": 1.6}
    path.write_text(to_yaml(toy_config(cache, search=search, run={"workers": 2})))
    return path


@pytest.mark.parametrize("seed", [0, 1])
def test_kill_9_at_any_moment_changes_nothing(tmp_path: Path, config: Path, seed: int) -> None:
    finish("search", "--config", config, "--out", tmp_path / "whole")
    run, draw = tmp_path / "killed", random.Random(seed)
    process = start("search", "--config", config, "--out", run)
    wait_for_run(run, process)
    for _ in range(3):
        time.sleep(draw.uniform(0, 4))
        process.kill()
        process.communicate()
        process = start("resume", run)
        wait_for_run(run, process)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert checksums(run) == checksums(tmp_path / "whole")
    assert len(list((run / "checkpoints").iterdir())) == len(list((tmp_path / "whole/checkpoints").iterdir()))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_at_once_and_say_how_to_go_on(
    tmp_path: Path, config: Path, number: signal.Signals, code: int
) -> None:
    run = tmp_path / "run"
    process = start("search", "--config", config, "--out", run)
    wait_for_run(run, process)
    time.sleep(1)
    os.kill(process.pid, number)
    started = time.monotonic()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output
    assert time.monotonic() - started < 10
    assert output.strip().splitlines()[-1] == f"stopped; go on with: xpand resume {run}"
    assert "Traceback" not in output
    finish("resume", run)


def test_a_second_driver_is_refused(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    process = start("search", "--config", config, "--out", run)
    wait_for_run(run, process)
    second = start("resume", run)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"must have one driver, but process {process.pid} on " in output
    process.kill()
    process.communicate()
