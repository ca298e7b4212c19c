"""Training and testing on videos that show several things, some of them for a while only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import expand
from expand.weights.models import read_model
from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import Pixels, at_rate, write_video
from tests.expand.models import write_tiny

SHORT = ("--epochs", 6, "--batch-size", 8, "--no-flip", "--set", "run.threads=1", "--set", "run.device=cpu")
SEVERAL = ("--set", "data.format=multi-label")


def two_halves(first: tuple[int, int, int], second: tuple[int, int, int]) -> Any:
    def paint(time: float, size: tuple[int, int]) -> Pixels:
        colour = first if time < 1.0 else second
        return np.broadcast_to(np.array(colour, np.uint8), (size[1], size[0], 3)).copy()

    return paint


COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200)}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 2 s that change their colour after 1 s; a class a colour, and one for the whole video."""
    folder = tmp_path_factory.mktemp("colours")
    pairs = [(one, other) for one in COLOURS for other in COLOURS]
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for split, rounds in (("train", 2), ("val", 1)):
        for number, (one, other) in enumerate(pairs * rounds):
            name = f"{split}-{number}.mp4"
            paint = two_halves(COLOURS[one], COLOURS[other])
            write_video(folder / name, at_rate(10, 20), last=0.1, size=(48, 40), paint=paint)
            still = ";still" if one == other else ""
            lines[split].append(f"{name} {one} 0 0.99;{other} 1 2{still}")
    for split, rows in lines.items():
        (folder / f"{split}.txt").write_text("\n".join(rows) + "\n")
    return folder


def scores(xpand: Xpand, reference: Path, *more: object) -> Any:
    done = xpand("test", reference, *more, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["tests"]


@pytest.mark.parametrize("head", ["clip", "frame"])
def test_several_labels(
    tmp_path: Path, videos: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch, cache: Path, head: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    tiny = write_tiny(tmp_path / "tiny.yaml", ["a", "b"])
    out = tmp_path / "trained"
    done = xpand(
        "train", tiny, "--data", videos, *SEVERAL, *SHORT, "--out", out, "--set", f"training.head={head}",
        "--set", "training.learning_rate=1.0", "--set", "training.dropout=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mAP" in done.stderr
    model = read_model(out / "model.yaml")
    assert model.classes == ("blue", "green", "red", "still")
    assert (model.head, model.values["labels"]) == (head, "several")
    network = expand.load_model(out / "model.yaml")
    shape = tuple(network(torch.zeros(1, 3, 2, 32, 32)).shape)
    assert shape == ((1, 4) if head == "clip" else (1, 2, 4))
    one, ten = scores(xpand, out, "--views", 1, "--views", 10)
    assert one["scores"]["mean_average_precision"] > 0.5
    assert ten["scores"]["mean_average_precision"] > 0.6
    assert set(ten["per_class"]) == set(model.classes)
    done = xpand("test", out, "--views", 1, "--out", tmp_path / "tested")
    names = [f"average-precision.{form}" for form in ("png", "svg", "pdf")]
    assert done.stdout.splitlines()[-3:] == [str(tmp_path / "tested" / name) for name in names]
    assert "most confused" not in done.stdout


def test_what_needs_several_labels_or_one(
    tmp_path: Path, videos: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    tiny = write_tiny(tmp_path / "tiny.yaml", ["a", "b"])
    out = tmp_path / "x"
    for setting in ("training.label_smoothing=0.1", "training.sampling=balanced"):
        message = refused(
            xpand("train", tiny, "--data", videos, *SEVERAL, *SHORT, "--set", setting, "--out", out)
        )
        assert "training.label_smoothing must be 0 and training.sampling natural" in message
    message = refused(xpand("search", "--data", videos, *SEVERAL, "--target", "40M", "--no-flip"))
    assert "search.objective top1 is for videos with one label each" in message
    several = write_tiny(tmp_path / "several.yaml", ["a", "b"], weights=True, labels="several")
    message = refused(xpand("test", several, "--data", "synthetic"))
    assert "several gives several labels for each clip, but the videos of synthetic have one each" in message
    one = write_tiny(tmp_path / "one.yaml", ["blue", "green", "red", "still"], weights=True)
    message = refused(xpand("test", one, "--data", videos, *SEVERAL))
    assert "one gives one label for each clip, but the videos" in message


def test_the_doctor_counts_several_labels(
    videos: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    done = xpand("doctor", videos, *SEVERAL, "--json")
    assert done.returncode == 0, done.stderr
    counts = {each["name"]: each["train"] for each in json.loads(done.stdout)["classes"]}
    assert counts == {"red": 10, "green": 10, "blue": 10, "still": 6}
