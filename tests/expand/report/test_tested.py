"""What a test tells besides its scores."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from expand.data.clips import ViewGrid
from expand.data.synthetic import CLASSES
from expand.full.testing import ViewTest
from expand.report.tested import mistake_lines, predictions_csv
from tests.expand.commands import Xpand
from tests.expand.full.test_mistakes import FOUND
from tests.expand.full.trainings import DATA
from tests.expand.models import write_tiny

TEST = ViewTest(
    views=ViewGrid(),
    size=32,
    macs=1,
    videos=6,
    scores={},
    per_class={},
    seconds=1.0,
    data="hands",
    predictions=FOUND,
)


def test_the_table_of_predictions() -> None:
    assert predictions_csv(FOUND).splitlines() == [
        "video,label,predicted,probability,label_probability,right",
        "c,left,right,0.9,0.05,false",
        "b,left,right,0.7,0.2,false",
        "e,right,up,0.6,0.2,false",
        "f,left,right,0.5,0.5,false",
        "a,left,left,0.5,0.5,true",
        "d,right,right,0.8,0.8,true",
    ]


def test_the_mistakes_in_words() -> None:
    assert mistake_lines([TEST]) == (
        "most confidently wrong:",
        "   90.0% right, but it is left: c",
        "   70.0% right, but it is left: b",
        "   60.0% up, but it is right: e",
        "   50.0% right, but it is left: f",
        "most confused:",
        "  3 of 4 left taken for right",
        "  1 of 2 right taken for up",
    )
    assert mistake_lines([replace(TEST, predictions=None)]) == ()
    right = replace(
        FOUND, videos=FOUND.videos[:1], labels=FOUND.labels[:1], probabilities=FOUND.probabilities[:1]
    )
    assert mistake_lines([replace(TEST, predictions=right)]) == ()


def test_the_verb_writes_them_for_each_grid_of_views(tmp_path: Path, xpand: Xpand, cache: Path) -> None:
    model = write_tiny(tmp_path / "named.yaml", CLASSES, weights=True)
    done = xpand("test", model, *DATA, "--views", 1, "--out", tmp_path / "one", cache=cache)
    assert done.returncode == 0, done.stderr
    names = ["confusion.png", "confusion.svg", "confusion.pdf", "predictions.csv"]
    assert done.stdout.splitlines()[-4:] == [str(tmp_path / "one" / name) for name in names]
    assert "most confidently wrong:" in done.stdout
    with (tmp_path / "one" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24

    several = ("--views", 1, "--views", "2x3", "--out", tmp_path / "more", "--json")
    found = json.loads(xpand("test", model, *DATA, *several, cache=cache).stdout)
    assert found["files"] == [
        str(tmp_path / "more" / grid / name) for grid in ("1x1", "2x3") for name in names
    ]
    top1 = found["tests"][0]["scores"]["top1"]
    assert sum(row["right"] == "true" for row in rows) / len(rows) == pytest.approx(top1)
    assert (tmp_path / "more" / "1x1" / "predictions.csv").read_bytes() == (
        tmp_path / "one" / "predictions.csv"
    ).read_bytes()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, xpand: Xpand, cache: Path) -> None:
    model = write_tiny(tmp_path / "named.yaml", CLASSES, weights=True)
    (tmp_path / "file").write_text("")
    done = xpand("test", model, *DATA, "--views", 1, "--out", tmp_path / "file" / "here", cache=cache)
    assert done.returncode == 2
    assert f"{tmp_path / 'file' / 'here'} cannot be written" in done.stderr
