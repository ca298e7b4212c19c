"""The command with less memory than it would like, by a limit on the addresses of its processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.expand.commands import ROOT

pytestmark = pytest.mark.slow
MB = 10**6
VIDEOS = ["--data", "synthetic"]
VIDEOS += [f"--set=data.synthetic.{key}" for key in ("train=32", "val=16", "size=96")]
ONE_THREAD = "--set=run.threads=1"
FEW = [f"--set=data.synthetic.{key}" for key in ("train=16", "val=12")]  # a step of each candidate
START = ["--set=space.settings.size=80", "--set=space.settings.frames=4", "--set=search.axes=[fast,spatial]"]


def limited(
    cache: Path, addresses: int, *arguments: object, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with so many bytes of addresses; `before`: what runs first."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))

    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"{before}\nfrom expand.command.cli import main; main()",
            *map(str, arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), **_kernels()},
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )


def _kernels() -> dict[str, str]:
    """Those of this machine, which another cache folder would build anew."""
    from torch.utils.cpp_extension import get_default_build_root

    root: str = os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()
    return {"TORCH_EXTENSIONS_DIR": root}


@pytest.mark.parametrize("target", ["100T", "20G"])
def test_a_dry_run_of_any_target_takes_little_and_says_what_is_extrapolated(
    tmp_path: Path, target: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = ["search", *VIDEOS, "--target", target, "--set=space.settings.size=40", "--dry-run"]
    done = limited(tmp_path, 2000 * MB, *arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "; extrapolated from networks of up to " in done.stderr
    assert after.ru_utime - before.ru_utime < 30  # several times what it takes where nothing else runs


def test_a_target_beyond_the_memory_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = limited(
        tmp_path, 1700 * MB, "search", *VIDEOS, *START, "--target", "20G", "--out", tmp_path / "run"
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: target must be at most ")
    assert not (tmp_path / "run").exists()


def test_search_train_test_and_export_take_what_fits_and_finish(tmp_path: Path) -> None:
    """As much as makes parts of a batch, and less than a whole one takes."""
    run, training = tmp_path / "run", tmp_path / "training"
    done = limited(
        tmp_path,
        1700 * MB,
        "search",
        *(*VIDEOS, *FEW, *START, ONE_THREAD),
        *("--workers", 1, "--target", "100M", "--epochs", 1, "--out", run),
    )
    assert done.returncode == 0, done.stderr
    assert "candidates split their batch into parts of down to" in done.stderr
    results = [json.loads(path.read_text()) for path in run.glob("checkpoints/*/result.json")]
    parts = [found["measurement"]["micro_batch"] for found in results]
    assert len(parts) == 6
    assert min(parts) < 16

    model = run / "models" / "step-2-spatial.yaml"
    done = limited(
        tmp_path,
        1700 * MB,
        *("train", model, *VIDEOS, ONE_THREAD, "--epochs", 1, "--batch-size", 32, "--out", training),
    )
    assert done.returncode == 0, done.stderr
    assert "memory    " in done.stderr
    assert "gradients are added up, and BatchNorm normalises" in done.stderr

    done = limited(tmp_path, 1500 * MB, "test", training, "--views", "1", ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert "at a time, as 32 would take" in done.stderr

    made = tmp_path / "made.pt2"
    done = limited(
        tmp_path, 1500 * MB, "export", training / "model.yaml", *("--format", "torch-export"), "--out", made
    )
    assert done.returncode == 0, done.stderr
    assert "Compared with the network on one random clip, as memory was short" in done.stderr


def test_local_workers_take_parts_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = limited(
        tmp_path,
        1700 * MB,
        "search",
        *(*VIDEOS, *FEW, *START, ONE_THREAD),
        *("--workers", 2, "--target", "100M", "--epochs", 1, "--out", run),
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in run.glob("checkpoints/*/result.json")]
    assert min(found["measurement"]["micro_batch"] for found in results) < 16


def test_a_benchmark_takes_parts_too(tmp_path: Path) -> None:
    done = limited(
        tmp_path,
        1800 * MB,
        *("bench", "step", "--threads", 1, "--rounds", 1, "--batch", 16, "--json"),
        before="from expand.bench import step; step.TRAJECTORY = {'x': step.TRAJECTORY['160 pixels']}",
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert any(note.startswith("memory was short, so each way took fewer clips") for note in figures["notes"])


def test_with_next_to_no_memory_there_is_one_line(tmp_path: Path) -> None:
    done = limited(
        tmp_path, 1200 * MB, "search", *VIDEOS, *START, "--target", "100M", "--out", tmp_path / "run"
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the start network must fit into the ")
