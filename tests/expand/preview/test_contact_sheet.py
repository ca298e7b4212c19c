"""Pages of clips to look at before a search or a training."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expand.config.search import Config
from expand.data.progress import silent
from expand.preview.contact_sheet import ClassClips, SheetLayout, write_sheets
from expand.preview.feed import Clip, Feed, feed_of_search
from search_spaces.base import ClipSampling
from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import write_classes

SAMPLING = ClipSampling(frames=3, stride=6, size=32)


@pytest.fixture(scope="module")
def feed(motions: Path, cache: Path) -> Feed:
    config = Config.model_validate({"data": {"path": motions, "cache": {"folder": cache}}})
    return feed_of_search(config, SAMPLING, None, silent)


def sized(feed: Feed, frames: int, size: int) -> SheetLayout:
    return SheetLayout.of(replace(feed, sampling=ClipSampling(frames=frames, stride=2, size=size)))


@pytest.mark.parametrize(
    ("frames", "size", "cell", "cells"),
    [
        (1, 112, 112, (0,)),
        (4, 40, 120, (0, 1, 2, 3)),  # enlarged by a whole number
        (13, 160, 160, (0, 3, 6, 9, 12)),  # the first and the last among them
        (16, 312, 160, (0, 4, 8, 11, 15)),
        (50, 96, 96, (0, 7, 14, 21, 28, 35, 42, 49)),
    ],
)
def test_sizes_of_pictures(feed: Feed, frames: int, size: int, cell: int, cells: tuple[int, ...]) -> None:
    layout = sized(feed, frames, size)
    assert (layout.cell, layout.cells) == (cell, cells)
    assert 380 <= layout.half <= 810


def test_classes_stand_whole_on_pages_that_are_not_too_high(feed: Feed) -> None:
    layout = sized(feed, 4, 40)
    rows = [2, 2, 0, 1, 9, 2, 30, 1, *[2] * 20]
    pages = layout.pages(rows)
    assert [label for page in pages for label in page] == list(range(len(rows)))
    for page in pages:
        blocks = [ClassClips(title=str(label), train=[clip()] * rows[label], val=[]) for label in page]
        height = layout.draw(blocks, page=1, pages=len(pages)).height
        assert height <= 1500 or len(page) == 1


def clip(*, split: str = "train", labels: tuple[str, ...] = ("walk",), video: str = "walk/a.mp4") -> Clip:
    return Clip(
        split="train" if split == "train" else "val",
        video=video,
        number=7,
        labels=labels,
        start=0.5,
        end=1.5,
        seconds=3.0,
        mirrored=False,
        looped=False,
        frames=np.full((50, 40, 40, 3), [200, 0, 0], np.uint8),
    )


def test_pixels_are_shown_as_they_are(feed: Feed) -> None:
    layout = sized(feed, 4, 40)
    ramp = np.arange(4 * 40 * 40 * 3, dtype=np.uint8).reshape(4, 40, 40, 3)
    page = layout.draw(
        [ClassClips(title="walk", train=[replace(clip(), frames=ramp)], val=[])], page=1, pages=1
    )
    pixels = np.asarray(page)
    left, top = 20, 20 + 74 + 34 + 2 * 18
    for number in range(4):
        at = left + number * (120 + 2)
        assert np.array_equal(pixels[top : top + 120 : 3, at : at + 120 : 3], ramp[number])


def test_words_stay_in_their_half(feed: Feed) -> None:
    layout = sized(feed, 1, 40)
    long = clip(video="walk/" + "long name " * 50 + ".mp4", labels=("another " * 40,))
    block = ClassClips(title="a class " * 100, train=[long], val=[])
    pixels = np.asarray(layout.draw([block], page=1, pages=1))
    gap = pixels[20 + 74 + 34 :, 20 + layout.half : 40 + layout.half]
    assert (gap == 255).all()
    assert (pixels[:, -20:] == 255).all()


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "clips.csv").open() as file:
        return list(csv.DictReader(file))


def test_pages_show_each_class_in_training_and_validation(feed: Feed, tmp_path: Path) -> None:
    done = write_sheets(feed, tmp_path / "out", clips=2, on_progress=silent)
    rows = rows_of(tmp_path / "out")
    assert done.pictures == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"page-01.png", "clips.csv"}
    assert [(row["class"], row["split"]) for row in rows] == [
        (name, split)
        for name in ("left", "right", "up")
        for split, count in (("train", 2), ("val", 1))
        for _ in range(count)
    ]
    assert all(row["video"].startswith(f"{row['class']}/") for row in rows)
    assert all(float(row["end"]) - float(row["start"]) == pytest.approx(0.4) for row in rows)
    Image.open(tmp_path / "out" / "page-01.png").load()


def test_the_command_draws_pages_of_a_data_set(
    xpand: Xpand, motions: Path, cache: Path, tmp_path: Path
) -> None:
    arguments = ("--clip", "3x6", "--size", 32, "--clips", 1, "--seed", 2, "--no-flip")
    done = xpand("frames", motions, "--out", tmp_path / "out", *arguments, cache=cache)
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'out'}\n{tmp_path / 'out' / 'clips.csv'}\n"
    assert {row["mirrored"] for row in rows_of(tmp_path / "out")} == {"0"}
    trained = xpand("frames", motions, "--out", tmp_path / "trained", "--model", "x3d-xs", cache=cache)
    assert trained.returncode == 0
    assert len(rows_of(tmp_path / "trained")) == 9


def test_names_of_classes_do_nothing(xpand: Xpand, cache: Path, tmp_path: Path) -> None:
    names = {"new\nline\x1b[2J": 2, "=cmd\u202e": 2}
    data = write_classes(tmp_path / "data", names)
    arguments = ("--clip", "1x1", "--size", 8)
    done = xpand("frames", data, "--out", tmp_path / "out", *arguments, cache=cache)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert {row["class"] for row in rows_of(tmp_path / "out")} == {r"new\nline\x1b[2J", r"=cmd\u202e"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "1"], "error: --from must be left out for a data set: what it says is of one video."),
        (["--fps", "30"], "error: --fps must be left out for a data set: what it says is of one video."),
        (
            ["--model", "x3d-s", "--target", "80M"],
            "error: --target must be left out with --model: it is of searches.",
        ),
    ],
)
def test_what_says_nothing_of_a_data_set(
    xpand: Xpand, motions: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert refused(xpand("frames", motions, "--out", tmp_path / "out", *arguments)) == message
    assert not (tmp_path / "out").exists()


def test_data_that_is_none(xpand: Xpand, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = xpand("frames", tmp_path / "empty", "--out", tmp_path / "out")
    assert refused(done).startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_the_doctor_says_how_to_look_at_clips(xpand: Xpand, motions: Path) -> None:
    done = xpand("doctor", motions, "--quick", "--target", "30M", "--set", "data.format=folders")
    assert done.stderr.endswith(
        f"\nLook at its clips before a search:\n  xpand frames {motions} --target 30M "
        "--set data.format=folders --out clips\n"
    )
