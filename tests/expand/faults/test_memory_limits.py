"""The command with less memory than it would like, by a limit on the addresses of its processes."""

from __future__ import annotations

import json
import re
import resource
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.expand.faults.processes import Forked

pytestmark = pytest.mark.slow
MB = 10**6
VIDEOS = ["--data", "synthetic"]
VIDEOS += [f"--set=data.synthetic.{key}" for key in ("train=32", "val=16", "size=96")]
ONE_THREAD = "--set=run.threads=1"
FEW = [f"--set=data.synthetic.{key}" for key in ("train=16", "val=12")]  # a step of each candidate
START = ["--set=space.settings.size=80", "--set=space.settings.frames=4", "--set=search.axes=[fast,spatial]"]
START += ["--set=training.init=scratch"]  # so few clips teach no start what could be grown


def limited(tmp_path: Path, room: int, *arguments: object, code: int = 0, bench: bool = False) -> str:
    """What the command says with so many bytes of addresses besides those of its imports, and 30 seconds.

    That is several times the time that any of these commands takes of a core. It must end with this code.
    """
    process = Forked(
        *arguments,
        output=tmp_path / f"output-{next(_NUMBERS)}",
        environment={"XDG_CACHE_HOME": str(tmp_path)},
        before=partial(_limit, room, bench),
    )
    return process.said(code)


_NUMBERS = count()


def _limit(room: int, bench: bool) -> None:
    if bench:  # one network is enough
        from expand.bench import step

        step.TRAJECTORY = {"x": step.TRAJECTORY["160 pixels"]}  # type: ignore[attr-defined]
    taken = int(re.findall(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    resource.setrlimit(resource.RLIMIT_AS, (1024 * taken + room, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (30, resource.RLIM_INFINITY))


@pytest.mark.parametrize("target", ["100T", "20G"])
def test_a_dry_run_of_any_target_takes_little_and_says_what_is_extrapolated(
    tmp_path: Path, target: str
) -> None:
    arguments = ["search", *VIDEOS, "--target", target, "--set=space.settings.size=40", "--dry-run"]
    assert "; extrapolated from networks of up to " in limited(tmp_path, 930 * MB, *arguments)


def test_a_target_beyond_the_memory_is_refused_before_anything_starts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = limited(tmp_path, 630 * MB, "search", *VIDEOS, *START, "--target", "20G", "--out", run, code=2)
    assert said.splitlines()[-1].startswith("error: target must be at most ")
    assert not run.exists()


def test_search_train_test_and_export_take_what_fits_and_finish(tmp_path: Path) -> None:
    """As much as makes parts of a batch, and less than a whole one takes."""
    run, training = tmp_path / "run", tmp_path / "training"
    said = limited(
        tmp_path,
        630 * MB,
        "search",
        *(*VIDEOS, *FEW, *START, ONE_THREAD),
        *("--workers", 1, "--target", "100M", "--epochs", 1, "--out", run),
    )
    assert "candidates split their batch into parts of down to" in said
    results = [json.loads(path.read_text()) for path in run.glob("checkpoints/*/result.json")]
    parts = [found["measurement"]["micro_batch"] for found in results]
    assert len(parts) == 6
    assert min(parts) < 16

    model = run / "models" / "step-2-spatial.yaml"
    said = limited(
        tmp_path,
        630 * MB,
        *("train", model, *VIDEOS, ONE_THREAD, "--epochs", 1, "--batch-size", 32, "--out", training),
    )
    assert "memory    " in said
    assert "gradients are added up, and BatchNorm normalises" in said

    said = limited(tmp_path, 430 * MB, "test", training, "--views", "1", ONE_THREAD)
    assert "at a time, as 32 would take" in said

    made = tmp_path / "made.pt2"
    said = limited(
        tmp_path, 300 * MB, "export", training / "model.yaml", *("--format", "torch-export"), "--out", made
    )
    assert "Compared with the network on one random clip, as memory was short" in said


def test_local_workers_take_parts_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    limited(
        tmp_path,
        630 * MB,
        "search",
        *(*VIDEOS, *FEW, *START, ONE_THREAD),
        *("--workers", 2, "--target", "100M", "--epochs", 1, "--out", run),
    )
    results = [json.loads(path.read_text()) for path in run.glob("checkpoints/*/result.json")]
    assert min(found["measurement"]["micro_batch"] for found in results) < 16


def test_a_benchmark_takes_parts_too(tmp_path: Path) -> None:
    words = ("bench", "step", "--threads", 1, "--rounds", 1, "--batch", 16, "--json")
    limited(tmp_path, 730 * MB, *words, "--out", tmp_path / "step.json", bench=True)
    figures = json.loads((tmp_path / "step.json").read_text())
    assert any(note.startswith("memory was short, so each way took fewer clips") for note in figures["notes"])


def test_with_next_to_no_memory_there_is_one_line(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    said = limited(tmp_path, 130 * MB, "search", *VIDEOS, *START, "--target", "100M", *out, code=2)
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: the start network must fit into the ")
