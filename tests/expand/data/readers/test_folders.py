"""Class folders, folders of pictures, splits, and readers of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from expand.data.base import Source
from expand.data.file_source import FileSource
from tests.expand.data.test_sources import error, opened, shown, touch

DOCS = Path(__file__).parents[4] / "docs" / "data.md"


def files(source: Source) -> FileSource:
    assert isinstance(source, FileSource)
    return source


def test_every_file_that_is_no_video_is_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "README.md",
        "run/a.MTS",
        "run/b.m2ts",
        "run/c.txt",
        "run/c.srt",
        "run/in/d.txt",
        "run/.e.mp4",
    )
    touch(tmp_path, "walk/a.f4v", "walk/b.vob", "stray.mp4")
    source = files(opened(tmp_path))
    assert sorted(key for split in ("train", "val") for key, _ in shown(source, split)) == [
        *("run/a.MTS", "run/b.m2ts", "walk/a.f4v", "walk/b.vob"),
    ]
    assert source.notes == (
        "left out: files whose suffix is no video's, .txt (2), .srt (1): 3, such as 'run/c.srt'",
        "left out: videos beside the class folders: 1, such as 'stray.mp4'",
    )


def test_videos_without_class_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path, "data/a.mp4", "data/b.mp4") / "data"
    assert error(folder) == (
        f"videos must lie in a folder of their class, but 2 lie beside each other in {folder}, such as "
        "a.mp4: move them into class folders, or write a list of them (train.txt)."
    )


@pytest.mark.parametrize("above", [".", "train"])
def test_the_folder_of_one_class_is_not_the_data(tmp_path: Path, above: str) -> None:
    folder = touch(tmp_path, f"{above}/run/a.mp4", f"{above}/walk/b.mp4") / above / "run"
    assert error(folder) == (
        f"videos must lie in a folder of their class, but 1 lie beside each other in {folder}, such as "
        f"a.mp4: if run is a class, name the folder above it ({tmp_path}); else move them into class "
        "folders, or write a list of them (train.txt)."
    )


def test_three_splits(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/a.mp4", "train/walk/b.mp4", "validation/run/c.mp4", "test/walk/d.mp4")
    source = opened(tmp_path, splits=("train", "val", "test"))
    assert shown(source, "val") == [("validation/run/c.mp4", "run")]
    assert shown(source, "test") == [("test/walk/d.mp4", "walk")]
    searched = opened(tmp_path)
    assert searched.splits["test"] == ()
    before = searched.checksum()
    touch(tmp_path, "test/unheard-of/e.mp4")
    assert opened(tmp_path).checksum() == before
    assert error(tmp_path, splits=("train", "val", "test")) == (
        "every class in the test must be in training too, but 'unheard-of' (test/unheard-of/e.mp4) is not: "
        "add "
        "training videos of it, or take it out of the test."
    )


def test_videos_to_test_on_decide_unless_a_share_is_set_aside(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"train/{name}/{n}.mp4" for name in ("run", "walk") for n in range(4)), "test/run/a.mp4"
    )
    source = files(opened(tmp_path))
    assert shown(source, "val") == [("test/run/a.mp4", "run")]
    assert source.notes == (
        f"the videos to test on ({tmp_path / 'test'}) decide, as there are no others for validation: set "
        "data.val_share to set some of training aside and keep these for the test",
    )
    source = files(opened(tmp_path, val_share=0.25, splits=("train", "val", "test")))
    assert [len(items) for items in source.splits.values()] == [6, 2, 1]
    assert source.notes == ()


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_alone_is_enough_to_test_on(tmp_path: Path, split: str) -> None:
    touch(tmp_path, f"{split}/run/a.mp4", f"{split}/run/b.mp4")
    source = opened(tmp_path, splits=(split,))  # type: ignore[arg-type]
    assert source.classes == ("run",)
    assert [key for key, _ in shown(source, split)] == [f"{split}/run/a.mp4", f"{split}/run/b.mp4"]  # type: ignore[arg-type]
    assert (
        error(tmp_path)
        == f"{tmp_path} must have a train folder beside its {split}, but it has none: add one."
    )


def test_a_split_of_ones_own_keeps_groups_together(tmp_path: Path) -> None:
    names = [
        f"{name}/v_{name}_g{g:02}_c{c:02}.avi" for name in ("run", "walk") for g in range(5) for c in (1, 2)
    ]
    source = files(opened(touch(tmp_path, *names)))
    sides = {
        split: {key.rpartition("_c")[0] for key, _ in shown(source, split)} for split in ("train", "val")
    }
    assert [len(groups) for groups in sides.values()] == [8, 2]
    assert not sides["train"] & sides["val"]
    assert source.notes == (
        "validation was set aside in whole groups of videos that belong together, by UCF101's names or as "
        "parts "
        "of one file: 10 groups of 20 videos",
    )


def test_a_split_of_ones_own_keeps_the_parts_of_a_file_together(tmp_path: Path) -> None:
    rows = [f"{n}.mp4 {label} {at} {at + 2}" for n in range(6) for at, label in ((0, "run"), (2, "walk"))]
    (tmp_path / "train.txt").write_text("\n".join(rows))
    source = opened(tmp_path, val_share=0.34)
    sides = [{item.file for item in source.splits[split]} for split in ("train", "val")]
    assert [len(side) for side in sides] == [4, 2]
    assert not sides[0] & sides[1]


def test_a_validation_without_videos(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 run\nb.mp4 walk\n")
    assert error(tmp_path) == (
        f"the data must hold videos to decide by, but of {tmp_path / 'train.txt'} none can be set aside, "
        "as each "
        "class has one video or one group of them: add videos, or a list (data.val)."
    )
    (tmp_path / "val.txt").write_text("\n")
    assert error(tmp_path) == (
        f"the data must hold videos to decide by, but {tmp_path / 'val.txt'} has none: add some, or take "
        "it away "
        "and a share of training is set aside."
    )


# Folders of pictures


def test_folders_of_pictures(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(f"{name}/clip-{n}/img_{i:05}.JPG" for name in ("run", "walk") for n in (1, 2) for i in (0, 1)),
    )
    touch(tmp_path, "run/a.mp4", "run/cover1.png", "walk/clip-1/notes.txt")
    assert error(tmp_path) == (
        "data.frames_fps must say how many pictures make a second, as run/clip-1 is a folder of them: set "
        "it, "
        "such as data.frames_fps=30."
    )
    source = files(opened(tmp_path, frames_fps=25, val_share=0.4))
    assert source.frames_fps == 25
    keys = sorted(key for split in ("train", "val") for key, _ in shown(source, split))
    assert keys == ["run/a.mp4", "run/clip-1", "run/clip-2", "walk/clip-1", "walk/clip-2"]
    assert source.notes == (
        "left out: files whose suffix is no video's, .png (1), .txt (1): 2, such as 'run/cover1.png'",
    )


def test_a_list_of_folders_of_pictures_needs_their_rate(tmp_path: Path) -> None:
    touch(tmp_path, *(f"frames/{n}/1.png" for n in range(2)))
    for name in ("train.txt", "val.txt"):
        (tmp_path / name).write_text("frames/0 31 run\nframes/1 28 walk\n")
    assert "as frames/0 is a folder of them" in error(tmp_path)
    source = files(opened(tmp_path, frames_fps=10))
    assert (source.frames_fps, shown(source, "train")) == (10, [("frames/0", "run"), ("frames/1", "walk")])


def test_where_there_are_no_pictures_their_rate_changes_nothing(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{n}.mp4" for name in ("run", "walk") for n in (1, 2)))
    assert opened(tmp_path, frames_fps=10).checksum() == opened(tmp_path).checksum()


# Readers of one's own


def test_the_reader_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "reader_of_the_docs.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    data = touch(tmp_path / "data", *(f"{name}_00{n}.mp4" for name in ("run", "walk") for n in (1, 2)))
    source = opened(data, format="reader_of_the_docs:ByPrefix")
    assert source.classes == ("run", "walk")
    assert [len(items) for items in source.splits.values()] == [2, 2, 0]
    (tmp_path / "half_a_reader.py").write_text("class Half:\n    def recognises(self, folder): ...\n")
    assert error(data, format="half_a_reader:Half") == (
        "reader 'half_a_reader:Half' must have all members of expand.data.readers.base.Reader, but it lacks "
        "read: add it, and run expand.data.readers.conformance on it."
    )


def test_a_reader_that_lists_a_video_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
from expand.data.readers.base import Listed, ListedVideo, LabelSpan
class Twice:
    def recognises(self, folder): return False
    def read(self, config, splits):
        videos = tuple(ListedVideo(key="a.mp4", shows=(LabelSpan(name),)) for name in ("run", "walk"))
        return Listed(name="x", root=config.path, splits={"train": videos}, origins={"train": "my list"})
"""
    (tmp_path / "reader_of_two.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert error(tmp_path, format="reader_of_two:Twice") == (
        "my list must list a.mp4 once, or each time with the same labels, but it does not: take all but "
        "one out."
    )


def test_a_format_that_there_is_not(tmp_path: Path) -> None:
    assert error(tmp_path, format="ucf-101") == (
        "data.format must be one of auto, synthetic, ucf101, hmdb51, charades, something-something, jester, "
        "kinetics, list, multi-label, folders, or your own as module:Class, got 'ucf-101'."
    )
