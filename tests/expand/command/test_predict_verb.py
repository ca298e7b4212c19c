from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import write_clip
from tests.expand.models import write_tiny

CLASSES = ["jump", "run", "wave"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.yaml", CLASSES, weights=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a", "b"):
        write_clip(folder / name / f"{name}.mp4", seconds=2)
    return folder


def test_one_video(xpand: Xpand, model: Path, videos: Path) -> None:
    one = videos / "a" / "a.mp4"
    done = xpand("predict", model, one, "--views", 3)
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["label", "probability"]
    assert sorted(row.split()[0] for row in rows) == CLASSES
    told = json.loads(xpand("predict", model, one, "--views", 3, "--json", "--top", 2).stdout)
    assert [f"{label['probability']:.1%}" for label in told["labels"]] == [row.split()[1] for row in rows[:2]]


def test_a_folder(xpand: Xpand, model: Path, videos: Path, tmp_path: Path) -> None:
    done = xpand("predict", model, videos, "--top", 2)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["video", "a/a.mp4", "b/b.mp4"]
    assert done.stderr.splitlines()[-1:] in ([], ["2 of 2 videos predicted"])
    done = xpand("predict", model, videos, "--out", tmp_path / "t.csv")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == f"{tmp_path / 't.csv'}: 2 videos"
    assert pd.read_csv(tmp_path / "t.csv")["label"].isin(CLASSES).all()


def test_over_time_with_a_picture(xpand: Xpand, model: Path, videos: Path, tmp_path: Path) -> None:
    done = xpand(
        *("predict", model, videos / "a" / "a.mp4", "--every", "500ms", "--picture", tmp_path / "p.png")
    )
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.split()[:3] == ["seconds", "label", "probability"]
    assert [row.split()[0] for row in rows] == ["0.00", "0.50", "1.00", "1.50"]
    with Image.open(tmp_path / "p.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_a_stream(xpand: Xpand, model: Path, videos: Path) -> None:
    done = xpand("predict", model, videos / "a" / "a.mp4", "--live", "--top", 1, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["time"] >= 0.4
    assert all(line["labels"][0]["label"] in CLASSES and line["latency"] >= 0 for line in lines)
    text = xpand("predict", model, videos / "a" / "a.mp4", "--live", "--top", 1).stdout.splitlines()
    assert all(line.split()[1] == "s" and line.endswith(" ms)") for line in text)


def test_a_video_that_cannot_be_read(xpand: Xpand, model: Path, videos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done = xpand("predict", model, videos / "a" / "a.mp4", broken)
    assert done.returncode == 1
    assert "cannot be used: unreadable" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        f"failed: 1 of 2 videos cannot be used, such as {broken}: unreadable: Invalid data found when "
        "processing input."
    )


def test_mistakes(xpand: Xpand, model: Path, videos: Path, tmp_path: Path) -> None:
    one = videos / "a" / "a.mp4"
    assert refused(xpand("predict", model, "0", one)) == (
        "error: a camera or a stream must be the only one, got 2 arguments: give one."
    )
    assert refused(xpand("predict", model, "0", "--out", tmp_path / "t.csv")) == (
        "error: --out must be left out for a stream: it is for videos in files."
    )
    assert refused(xpand("predict", model, one, "--picture", tmp_path / "p.png")) == (
        "error: --picture must come with --every and one video, of which it shows the labels over time."
    )
    assert refused(xpand("predict", model, one, "--every", "1s", "--picture", tmp_path / "p.gif")) == (
        f"error: --picture must end in one of .png, .svg, .pdf, got {tmp_path / 'p.gif'}."
    )
    assert "--every must be a time" in refused(xpand("predict", model, one, "--every", "0"))
    assert "must have weights" in refused(xpand("predict", "x3d-s", one))
