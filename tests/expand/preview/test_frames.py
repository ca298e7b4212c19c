"""`xpand frames` of one video: every frame of it, and the clips that a network sees."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from expand.config.data import CacheConfig, DataConfig
from expand.data.base import Frames
from expand.data.cache import open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.clips import ViewGrid, normalised, view_batches
from expand.data.progress import silent
from expand.data.sources import open_source
from expand.preview import frames
from expand.preview.feed import pixels_of
from expand.preview.frames import Clips, is_video, parse_clip, write_clips, write_frames
from search_spaces.base import ClipSampling
from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import at_rate, seconds_of, turn, write_clip, write_sound, write_video

UNEVEN = [0.0, 0.1, 0.2, 0.9, 1.0, 1.1, 1.15]


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "frames.csv").open() as file:
        return list(csv.DictReader(file))


def pictures(folder: Path) -> Frames:
    return np.stack([np.asarray(Image.open(folder / row["file"])) for row in listed(folder)])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "uneven.mp4", UNEVEN, last=0.5)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s at 30 frames a second."""
    return write_clip(tmp_path_factory.mktemp("video") / "second.mp4", seconds=3.0, fps=30)


def test_every_frame_is_written_with_its_time(uneven: Path, tmp_path: Path) -> None:
    done = write_frames(uneven, tmp_path / "out", on_progress=silent)
    rows = listed(tmp_path / "out")
    assert done.pictures == len(rows) == len(UNEVEN)
    assert [float(row["seconds"]) for row in rows] == pytest.approx(UNEVEN, abs=1e-3)
    assert [row["file"] for row in rows] == [f"frame-{number:06}.png" for number in range(1, 8)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "frames.csv",
        *(row["file"] for row in rows),
    }
    shown = pictures(tmp_path / "out")
    assert shown.shape == (7, 48, 64, 3)
    assert seconds_of(shown) == pytest.approx(UNEVEN, abs=0.04)


def test_parts_that_are_read_one_by_one_give_the_same(
    second: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(second, tmp_path / "whole", on_progress=silent)
    monkeypatch.setattr(frames, "PART", 7 * 48 * 64 * 3)
    write_frames(second, tmp_path / "parts", on_progress=silent)
    assert listed(tmp_path / "parts") == listed(tmp_path / "whole")
    assert len(listed(tmp_path / "parts")) == 90
    assert np.array_equal(pictures(tmp_path / "parts"), pictures(tmp_path / "whole"))


def test_frames_are_numbered_in_the_whole_video(xpand: Xpand, second: Path, tmp_path: Path) -> None:
    done = xpand("frames", second, "--out", tmp_path / "out", "--from", 1, "--to", 1.1)
    assert done.returncode == 0
    assert [row["number"] for row in listed(tmp_path / "out")] == ["31", "32", "33"]
    assert done.stdout == f"{tmp_path / 'out'}\n{tmp_path / 'out' / 'frames.csv'}\n"
    assert done.stderr == "3 frames of 90, 64×48, 30 a second\n"


def test_a_turned_video_comes_out_upright(tmp_path: Path) -> None:
    path = turn(write_clip(tmp_path / "turned.mp4", size=(96, 48)), 90)
    write_frames(path, tmp_path / "out", on_progress=silent)
    assert pictures(tmp_path / "out").shape == (15, 96, 48, 3)


def test_what_was_written_can_be_read_again_as_a_folder_of_pictures(second: Path, tmp_path: Path) -> None:
    write_frames(second, tmp_path / "first", on_progress=silent, end=0.5)
    assert is_video(tmp_path / "first")
    write_frames(tmp_path / "first", tmp_path / "again", fps=30, on_progress=silent)
    assert listed(tmp_path / "again") == listed(tmp_path / "first")
    assert np.array_equal(pictures(tmp_path / "again"), pictures(tmp_path / "first"))


def test_a_folder_is_a_data_set_unless_it_holds_pictures_and_nothing_below(tmp_path: Path) -> None:
    (tmp_path / "data" / "walk").mkdir(parents=True)
    assert not is_video(tmp_path / "data")
    Image.new("RGB", (8, 8)).save(tmp_path / "data" / "thumbnail1.png")
    assert not is_video(tmp_path / "data")


SAMPLING = ClipSampling(frames=4, stride=6, size=32)


def test_a_clip_is_what_a_search_validates_on(motions: Path, cache: Path, tmp_path: Path) -> None:
    config = DataConfig(path=motions, cache=CacheConfig(folder=cache))
    source = open_source(config)
    cached = open_cache(
        source, cache_needs(config, (SAMPLING,), (EvenClips(sampling=SAMPLING, clips=1),)), config
    )
    batches = view_batches(cached.val, SAMPLING, ViewGrid(), batch_size=1)
    for key, (batch, _) in zip(cached.val.keys, batches, strict=True):
        folder = tmp_path / key
        write_clips(motions / key, folder, Clips(sampling=SAMPLING), on_progress=silent)
        assert np.array_equal(pictures(folder), pixels_of(batch[0]))


def test_clips_are_spread_evenly_and_tell_both_times(xpand: Xpand, second: Path, tmp_path: Path) -> None:
    arguments = ("--clip", "4x7", "--size", 32, "--clips", 2, "--json")
    done = xpand("frames", second, "--out", tmp_path / "out", *arguments)
    rows = listed(tmp_path / "out")
    assert json.loads(done.stdout) == {
        "folder": str(tmp_path / "out"),
        "pictures": 8,
        "list": str(tmp_path / "out" / "frames.csv"),
    }
    assert done.stderr == "2 clips of 4×7, 32² from 3.00 s; a clip takes 0.70 s\n"
    assert [row["file"] for row in rows[3:5]] == ["clip-01-frame-004.png", "clip-02-frame-001.png"]
    starts = [2.3 / 4, 3 * 2.3 / 4]
    asked = [start + 7 / 30 * number for start in starts for number in range(4)]
    assert [float(row["asked"]) for row in rows] == pytest.approx(asked, abs=1e-5)
    assert [float(row["seconds"]) for row in rows] == pytest.approx(asked, abs=0.5 / 30 + 1e-5)
    assert seconds_of(pictures(tmp_path / "out")) == pytest.approx(
        [float(row["seconds"]) for row in rows], abs=0.04
    )


def test_a_video_that_is_shorter_than_its_clip_is_looped(xpand: Xpand, second: Path, tmp_path: Path) -> None:
    done = xpand("frames", second, "--out", tmp_path / "out", "--clip", "5x30", "--size", 16)
    assert done.stderr.strip().endswith("a clip takes 4.00 s, looped: the video is shorter")
    assert [float(row["asked"]) for row in listed(tmp_path / "out")] == [0, 1, 2, 0, 1]


def test_a_networks_clips_are_cropped_as_its_training_validates(xpand: Xpand, tmp_path: Path) -> None:
    def ramp(_: float, size: tuple[int, int]) -> Frames:
        row = np.repeat(3 * np.arange(size[0], dtype=np.uint8)[:, None], 3, axis=1)
        return np.broadcast_to(row, (size[1], size[0], 3)).copy()

    path = write_video(tmp_path / "ramp.mp4", at_rate(30, 60), paint=ramp)
    options = {"search": ("--clip", "4x12", "--size", 160), "training": ("--model", "x3d-xs")}
    for out, chosen in options.items():
        assert xpand("frames", path, "--out", tmp_path / out, *chosen).returncode == 0
        assert pictures(tmp_path / out).shape == (4, 160, 160, 3)
    edges = {out: pictures(tmp_path / out)[:, :, [0, -1]].mean(axis=(0, 1, 3)) for out in options}
    assert edges["search"] == pytest.approx([3 * 8, 3 * 55], abs=2)  # of 64 pixels, the 48 in the middle
    assert edges["training"] == pytest.approx([3 * 11, 3 * 52], abs=2)  # 48 are 8/7 crops: 42


def test_bytes_come_back_as_they_were() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 4, 8, 8, 1).repeat(1, 1, 1, 1, 3)
    assert np.array_equal(pixels_of(normalised(pixels, "cpu")[0]), pixels[0].numpy())


@pytest.mark.parametrize("text", ["13x6", "13×6", " 13X6 "])
def test_clips_as_they_are_written(text: str) -> None:
    assert parse_clip(text, 160) == ClipSampling(frames=13, stride=6, size=160)


CLIP_FORM = (
    "error: --clip must be FRAMESxSTRIDE such as 13x6, both from 1 to 9999, got {!r}: the stride is in "
    "frames of a video with 30 a second."
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip", "13", "--size", 160], CLIP_FORM.format("13")),
        (["--clip", "0x6", "--size", 160], CLIP_FORM.format("0x6")),
        (["--clip", "13x6x2", "--size", 160], CLIP_FORM.format("13x6x2")),
        (
            ["--clip", "13x6", "--size", 7],
            "error: --size must be from 8 to 1024 pixels, got 7: it is the side of the crop.",
        ),
        (
            ["--clip", "13x6"],
            "error: --clip must come with --size, the side of its crop in pixels such as 160: add it.",
        ),
        (["--size", 160], "error: --size must come with --clip, such as 13x6: add it."),
        (
            ["--clip", "13x6", "--model", "x3d-s"],
            "error: --clip must be left out where --model says which clips its network sees.",
        ),
        (
            ["--size", 160, "--model", "x3d-s"],
            "error: --size must be left out where --model says how large its network's clips are.",
        ),
        (
            ["--model", "x3d-s", "--from", 1],
            "error: --from must be left out where clips are written: it is for all frames of a video.",
        ),
        (
            ["--clips", 2],
            "error: --clips must come with --clip and --size, or with --model, which say what a clip is: add "
            "them, or leave --clips out.",
        ),
        (
            ["--seed", 1],
            "error: --seed must be left out for one video, got {path}: what it says is of data sets.",
        ),
        (
            ["--fps", 30],
            "error: --fps must be left out where a video says when its frames are shown, as {path} does.",
        ),
        (
            ["--from", 2, "--to", 1],
            "error: --from and --to must leave a frame of {path}, whose frames are from 0 to 2.97 s, got "
            "2 to 1: take in more.",
        ),
    ],
)
def test_what_is_refused_before_anything_is_written(
    xpand: Xpand, second: Path, tmp_path: Path, arguments: list[Any], message: str
) -> None:
    done = xpand("frames", second, "--out", tmp_path / "out", *arguments)
    assert refused(done) == message.format(path=second)
    assert not (tmp_path / "out").exists()


def test_folders_that_are_taken_or_cannot_be_made(xpand: Xpand, second: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    taken = refused(xpand("frames", second, "--out", tmp_path / "taken"))
    assert taken == (
        f"error: --out must be a folder that is empty or not there yet, got {tmp_path / 'taken'}: choose "
        "another, or empty it."
    )
    inside = refused(xpand("frames", second, "--out", tmp_path / "taken" / "notes.txt" / "out"))
    assert inside == (
        f"error: --out must be in a folder that can be written, got {tmp_path}/taken/notes.txt/out: "
        f"{tmp_path}/taken/notes.txt cannot be; choose another."
    )


def test_what_is_no_video(xpand: Xpand, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sound.mp4")
    assert refused(xpand("frames", sound, "--out", tmp_path / "out")) == (
        f"error: {sound} must be a video that can be read, but: no video stream; give a video, a folder of "
        "pictures, or a folder of labelled videos."
    )
    nothing = tmp_path / "nothing.mp4"
    assert refused(xpand("frames", nothing, "--out", tmp_path / "out")) == (
        f"error: {nothing} must be a video, a folder of pictures or a folder of labelled videos, but nothing "
        "is there: look at the path."
    )
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "1.png")
    assert refused(xpand("frames", tmp_path / "pictures", "--out", tmp_path / "out")) == (
        f"error: --fps must say how many pictures make a second, as {tmp_path / 'pictures'} is a folder of "
        "them: add it, such as --fps 30."
    )
    assert not (tmp_path / "out").exists()
