"""The README's commands, run one after another as a reader types them, on small videos and small networks."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from expand.export.checkpoints import save_project_weights
from expand.weights.models import find_model
from tests.expand.commands import ROOT, Xpand

# Run by tests of their own: they need a cluster, another project's checkout, a camera, a quiet machine, or
# minutes.
ELSEWHERE = ("xpand bench", "--workers ray", "xpand count --verify", "--profile", "TRAINING 0")
# What makes a command take seconds.
SMALL = {
    "search": "--set space.settings.size=32 --set training.clips=4 --set training.batch_size=4 "
    "--set training.init=scratch "
    "--set search.axes='[temporal, width]'",
    "profile": "--set space.settings.size=32 --largest 2 --networks 40",
    "frames": "--set space.settings.size=32",
    "doctor": "--set space.settings.size=32",
    "train": "--epochs 1 --set training.batch_size=4",
}


def commands() -> Iterator[str]:
    """The commands of the README in its order."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        lines = [line.split("#")[0].strip() for line in block.splitlines()]
        yield from (line for line in lines if line.startswith("xpand "))


def newest(folder: Path, file: str) -> Path:
    """The folder of the run that was made last."""
    return max(folder.rglob(file), key=lambda path: path.stat().st_mtime_ns).parent


def write_x3d_s(path: Path) -> None:
    """A checkpoint of X3D-S as SlowFast saves it, with fresh weights."""
    model = find_model("x3d-s", None)
    save_project_weights(path, model.build().state_dict(), model.architecture, layout="slowfast")


@pytest.mark.slow
def test_the_commands_of_the_readme_run(
    xpand: Xpand, motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(motions, tmp_path / "DATA")
    write_x3d_s(tmp_path / "x3d_s.pyth")
    for line in commands():
        if any(part in line for part in ELSEWHERE):
            continue
        typed = line.replace("80M", "3M").replace("40M", "2M").replace("FOLDER", str(tmp_path / "DATA"))
        if "RUN" in line or "OTHER" in line:
            typed = re.sub(r"\b(RUN|OTHER)\b", str(newest(tmp_path, "study.db")), typed)
        typed = typed.replace("VIDEO", str(next((tmp_path / "DATA").rglob("*.mp4"))))
        if "TRAINING" in line:
            typed = typed.replace("TRAINING", str(newest(tmp_path, "training.json")))
        words = shlex.split(typed)[1:]
        with monkeypatch.context() as patch:
            if words[0] == "search":  # its report is like that of `xpand report`, which has all figures
                patch.setattr("expand.report.page.KINDS", ())
            if words[0] == "plot":  # all formats are written by tests/expand/plots
                patch.setattr("expand.plots.figures.FORMATS", ("svg",))
            done = xpand(
                *words, *shlex.split(SMALL.get(words[0], "")), cwd=tmp_path, cache=tmp_path / "cache"
            )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert torch.load(tmp_path / "x3d_s.pyth", weights_only=True)
    run = newest(tmp_path, "study.db")
    assert (run / "report.html").is_file()
    assert (tmp_path / "net.onnx").is_file()
