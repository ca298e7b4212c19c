"""Full trainings in several processes, and with real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expand.data.synthetic import CLASSES
from tests.expand.commands import ROOT, Xpand, refused
from tests.expand.faults.processes import Forked, wait_for
from tests.expand.full.trainings import DATA, SHORT, digest
from tests.expand.models import write_tiny


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from expand.command.cli import main; main()", *map(str, arguments)]


LONGER = (*DATA, *SHORT, "--epochs", 20, "--set", "training.validate_epochs=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    tiny = write_tiny(folder / "tiny.yaml", CLASSES)
    forked("train", tiny, *LONGER, "--out", folder / "out", cache=cache, output=folder / "output").said()
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_stops_it_and_resume_gives_the_same_weights(
    tmp_path: Path, tiny: Path, cache: Path, whole: Path, number: signal.Signals
) -> None:
    cut = tmp_path / "cut"
    process = forked("train", tiny, *LONGER, "--out", cut, cache=cache, output=tmp_path / "output")
    wait_for(lambda: (cut / "history.csv").exists() or not process.running, 120)
    os.kill(process.pid, number)
    said = process.said(-number if number == signal.SIGKILL else 128 + number)
    assert (f"xpand resume {cut}" in said) == (number != signal.SIGKILL)
    assert not (cut / "model.yaml").exists()
    forked("resume", cut, cache=cache, output=tmp_path / "more").said()
    for file in ("model.safetensors", "model.yaml"):
        assert digest(cut / file) == digest(whole / file)


def forked(*arguments: object, cache: Path, output: Path) -> Forked:
    return Forked(*arguments, output=output, environment={"XDG_CACHE_HOME": str(cache)})


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path) -> None:
    out = tmp_path / "trained"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "--no-python", *command("train", tiny, *DATA, *SHORT, "--out", out)],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model.yaml") == 1
    assert json.loads((out / "training.json").read_text())["processes"] == 2
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for name in ("model.yaml", "model.safetensors"):
        (again / name).unlink()
    last = max((again / "checkpoints").iterdir())
    last.write_bytes(b"")
    as_by_torchrun("resume", again, cache=cache, folder=tmp_path)
    one, other = load_file(out / "model.safetensors"), load_file(again / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    (again / "model.yaml").unlink()
    assert "processes: 2 → 1" in refused(xpand("resume", again, cache=cache))


@pytest.mark.slow
def test_two_processes_train_one_network_by_multigrid(tmp_path: Path, tiny: Path, cache: Path) -> None:
    out = tmp_path / "trained"
    train = ("train", tiny, *DATA, *SHORT, "--multigrid", "--epochs", 12, "--out", out)
    leading, following = as_by_torchrun(*train, cache=cache, folder=tmp_path)
    assert str(out / "model.yaml") in leading
    assert "model.yaml" not in following
    assert (out / "model.yaml").exists()
    assert json.loads((out / "training.json").read_text())["processes"] == 2


def as_by_torchrun(*arguments: object, cache: Path, folder: Path) -> list[str]:
    """What two processes say that have the environment variables of torchrun, which starts for seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = {"XDG_CACHE_HOME": str(cache), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        Forked(
            *arguments,
            output=folder / f"rank-{rank}",
            environment={**shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    return [process.said() for process in processes]
