from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from expand.config.data import DataConfig
from expand.data import doctor as doctor_module
from expand.data import splitting
from expand.data.cache_needs import CacheNeeds
from expand.data.doctor import (
    CacheSize,
    ClassCount,
    Count,
    Largest,
    Report,
    TooShort,
    examine,
)
from expand.data.leaks import Leak
from expand.data.progress import StageProgress
from expand.data.shards import Bad
from expand.report.doctor import render
from search_spaces.base import ClipSampling
from tests.expand.commands import Xpand
from tests.expand.data.videos import at_rate, turn, write_clip, write_sound, write_video

LEAKS = (
    "1 of 3 videos of val are in an earlier split too, so accuracy on it will look too high: "
    "val/turn-right/copied.mp4 = train/turn-left/long.mp4 (same bytes): take them out of one."
)
TWO_LABELS = (
    "1 video has two labels, of which one must be wrong: train/turn-left/long.mp4 (turn-left) = "
    "val/turn-right/copied.mp4 (turn-right): take the wrong one out."
)
XS = ClipSampling(frames=4, stride=12, size=64)  # 1.2 s


@pytest.fixture(scope="module", autouse=True)
def _few_videos_will_do() -> Iterator[None]:
    """These data sets have three validation videos or so; only one test is about that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_FEW", 0)
        yield


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Given splits with all that can be wrong."""
    root = tmp_path_factory.mktemp("data") / "troubled"
    write_clip(root / "train/turn-left/long.mp4", seconds=2.0, fps=30)
    write_clip(root / "train/turn-left/short.mp4", seconds=1.0, fps=15)
    turn(write_clip(root / "train/turn-right/turned.mp4", seconds=2.0, fps=30, size=(96, 48)), 90)
    write_video(root / "train/turn-right/uneven.mp4", [0, 0.1, 0.2, 0.9, 1.0, 1.1], last=0.5)
    write_video(root / "val/turn-left/other.mp4", at_rate(30, 45))
    (root / "val/turn-right").mkdir()
    shutil.copy(root / "train/turn-left/long.mp4", root / "val/turn-right/copied.mp4")
    (root / "train/turn-left/bad.mp4").touch()
    write_sound(root / "val/turn-right/sound.mp4")
    return root


@pytest.fixture(scope="module")
def report(troubled: Path) -> Report:
    return examine(DataConfig(path=troubled), CacheNeeds(short_side=24, fps=10), clips=[XS])


def text(report: Report) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(render(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_is_counted(report: Report) -> None:
    assert report.name == "troubled"
    assert report.listed == {"train": 5, "val": 3, "test": 0}
    assert report.usable == {"train": 4, "val": 2, "test": 0}
    assert report.classes == (
        ClassCount(name="turn-left", train=3, val=1),
        ClassCount(name="turn-right", train=2, val=2),
    )
    assert report.largest == {
        "train": Largest(name="turn-left", share=0.5),
        "val": Largest(name="turn-left", share=0.5),
    }


def test_what_the_videos_are(report: Report) -> None:
    assert report.seconds is not None
    assert (report.seconds.low, report.seconds.high) == pytest.approx((1.0, 2.0), abs=1e-3)
    assert report.seconds.median == pytest.approx((1.6 + 2.0) / 2, abs=1e-3)
    assert report.seconds.total == pytest.approx(2 + 1 + 2 + 1.6 + 1.5 + 2, abs=1e-2)
    assert report.sizes == (Count(what="64×48", videos=5), Count(what="48×96", videos=1))
    assert report.frame_rates[0] == Count(what="30 fps", videos=4)
    assert (report.variable_rate, report.rotated) == (1, 1)


def test_what_is_wrong(report: Report) -> None:
    assert report.bad == (
        Bad("train/turn-left/bad.mp4", "train", "empty"),
        Bad("val/turn-right/sound.mp4", "val", "no video stream"),
    )
    assert report.leaks == (
        Leak(
            earlier="train/turn-left/long.mp4",
            later="val/turn-right/copied.mp4",
            splits=("train", "val"),
            how="same bytes",
        ),
    )
    assert report.too_short == (TooShort(clip="4×12, 64²", seconds=XS.span_seconds, videos=1),)


def test_what_the_cache_takes(report: Report) -> None:
    raw = (21 + 11 + 6 + 16 + 21) * 24 * 32 * 3 + 21 * 24 * 48 * 3
    assert report.cache == CacheSize(
        short_side=24, fps=10, raw_bytes=raw, jpeg_bytes=round(raw / 4), storage="raw"
    )


def test_advice(report: Report) -> None:
    assert report.advice == (
        "A search will refuse these videos, as 2 of 8 are bad, more than data.max_bad_share allows (5.0%): "
        "replace them or take them out.",
        LEAKS,
        TWO_LABELS,
        "'turn-left' may become another class when flipped, and data.flip is on: set data.flip: false, or "
        "pair the classes that swap in data.flip_labels.",
    )


def test_too_many_bad_videos_are_refused_as_a_search_does(
    report: Report, troubled: Path, xpand: Xpand
) -> None:
    assert report.refused
    assert not examine(DataConfig(path=troubled, max_bad_share=0.5)).refused
    done = xpand("doctor", troubled)
    assert (done.returncode, "A search will refuse" in done.stdout) == (1, True)
    assert xpand("doctor", troubled, "--json").returncode == 1


def test_few_validation_videos_tell_little(troubled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "_FEW", 4)
    advice = examine(DataConfig(path=troubled), quick=True).advice
    assert advice[0] == (
        "3 validation videos are few, as each of them moves a score by 33.3 points, so that candidates will "
        "hardly be told apart: list more (data.val)."
    )


def test_few_bad_videos_are_left_out(troubled: Path) -> None:
    config = DataConfig(path=troubled, max_bad_share=0.5, flip_labels={"turn-left": "turn-right"})
    assert examine(config).advice == (
        "2 of 8 videos are bad and will be left out: replace them.",
        LEAKS,
        TWO_LABELS,
    )


def test_the_same_file_in_both_lists(tmp_path: Path) -> None:
    for name in "ab":
        write_clip(tmp_path / f"{name}.mp4", seconds=1.0 if name == "a" else 2.0)
    (tmp_path / "train.txt").write_text("a.mp4 x\nb.mp4 y\ngone.mp4 y\n")
    (tmp_path / "val.txt").write_text("a.mp4 x\nlost.mp4 y\n")
    leak = Leak(earlier="a.mp4", later="a.mp4", splits=("train", "val"), how="same file")
    assert examine(DataConfig(path=tmp_path)).leaks == (leak,)


def test_one_video_in_two_classes(tmp_path: Path) -> None:
    for name in ("run", "walk"):
        write_clip(
            tmp_path / f"train/{name}/a.mp4",
            seconds=1.0,
            fps=10,
            size=(64, 48) if name == "run" else (48, 64),
        )
        shutil.copytree(tmp_path / "train" / name, tmp_path / "val" / name)
    shutil.copy(tmp_path / "train/run/a.mp4", tmp_path / "train/walk/again.mp4")
    found = examine(DataConfig(path=tmp_path))
    assert (
        "1 video has two labels, of which one must be wrong: train/run/a.mp4 (run) = "
        "train/walk/again.mp4 (walk): take the wrong one out."
    ) in found.advice
    assert "With two labels\ntrain/run/a.mp4 (run) = train/walk/again.mp4 (walk)\n" in text(found)
    assert json.loads(json.dumps(found.to_json()))["two_labels"] == [
        {"videos": ["train/run/a.mp4", "train/walk/again.mp4"], "labels": ["run", "walk"]}
    ]


def test_processes_find_the_same(troubled: Path, report: Report) -> None:
    seen: list[StageProgress] = []
    found = examine(
        DataConfig(path=troubled),
        CacheNeeds(short_side=24, fps=10),
        processes=2,
        clips=[XS],
        on_progress=seen.append,
    )
    assert found == report
    assert [(progress.done, progress.total) for progress in seen if progress.what == "decoding videos"] == [
        (0, 8),
        (8, 8),
    ]


def test_lists_alone(troubled: Path) -> None:
    report = examine(DataConfig(path=troubled), CacheNeeds(short_side=24, fps=10), quick=True)
    assert (report.looked, report.bad, report.cache, report.seconds) == (0, (), None, None)
    assert report.listed == {"train": 5, "val": 3, "test": 0}
    assert "no video was opened" in text(examine(DataConfig(path=troubled, flip=False), quick=True))


def test_very_many_videos_are_sampled(motions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "MOST_DECODED", 9)
    report = examine(DataConfig(path=motions, flip=False), CacheNeeds(short_side=24, fps=10))
    assert (report.looked, sum(report.listed.values())) == (9, 18)
    assert "9 of 9 videos that were looked at, of 18" in text(report)
    assert report.cache is not None
    assert report.cache.raw_bytes == 18 * 11 * 24 * 32 * 3


def test_the_report_is_json(report: Report) -> None:
    values = json.loads(json.dumps(report.to_json()))
    assert values["bad"][0] == {"key": "train/turn-left/bad.mp4", "split": "train", "reason": "empty"}
    assert values["listed"] == {"train": 5, "val": 3, "test": 0}
    assert values["cache"]["storage"] == "raw"


def test_the_report_reads_at_80_columns(report: Report) -> None:
    shown = text(report)
    assert max(len(line) for line in shown.splitlines()) <= 80
    for line in (
        "troubled: 2 classes",
        "│ turn-left  │     3 │   1 │",
        "usable                 6 of 8 videos",
        "guessing, val          50.0% (always turn-left)",
        "size                   64×48 (5), 48×96 (1)",
        "looped 1 video is shorter than a clip 4×12, 64² (1.20 s)",
        "2 bad videos",
        "val val/turn-right/copied.mp4 = train train/turn-left/long.mp4 (same bytes)",
    ):
        assert " ".join(line.split()) in " ".join(shown.split()), line


def test_a_report_without_complaints(motions: Path) -> None:
    report = examine(DataConfig(path=motions, flip=False))
    assert report.cache is None
    assert text(report).rstrip().endswith("Nothing wrong was found.")


def test_many_classes_and_bad_videos_are_summed_up(tmp_path: Path) -> None:
    lines = "".join(f"{i}.mp4 class-{i % 40:02}\n" for i in range(100))
    (tmp_path / "train.txt").write_text(lines)
    (tmp_path / "val.txt").write_text("0.mp4 class-00\n")
    shown = text(examine(DataConfig(path=tmp_path)))
    assert "… 20 classes between …" in shown
    assert "… 91 more" in shown
    assert "91 missing" in shown
    assert len(shown.splitlines()) < 70
