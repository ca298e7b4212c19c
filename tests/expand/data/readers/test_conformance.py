"""Every reader holds what all must hold, and a wrong one is told what does not."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers import READERS
from expand.data.readers.base import LabelSpan, LeftOut, Listed, ListedVideo, Reader
from expand.data.readers.conformance import check_reader
from tests.expand.data.readers.test_annotations import CLASSES, HEADER
from tests.expand.data.readers.test_official import write_kinetics, write_something
from tests.expand.data.test_sources import touch, write_lists, write_ucf101


def write_hmdb51(root: Path) -> Path:
    for label in ("wave", "run"):
        touch(root, f"testTrainMulti_7030_splits/{label}_test_split1.txt").joinpath(
            f"testTrainMulti_7030_splits/{label}_test_split1.txt"
        ).write_text("a.avi 1\nb.avi 2\nc.avi 0\n")
    return root


def write_jester(root: Path) -> Path:
    (root / "jester-v1-labels.csv").write_text("Swiping Left\nDoing other things\n")
    for name in ("train", "validation"):
        (root / f"jester-v1-{name}.csv").write_text("1;Swiping Left\n2;Doing other things\n")
    return root


def write_charades(root: Path) -> Path:
    (root / "Charades_v1_classes.txt").write_text(CLASSES)
    for name in ("train", "test"):
        (root / f"Charades_v1_{name}.csv").write_text(f"{HEADER}AB,S,c000 1 2;c001 0 3,5\n")
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "ucf101": write_ucf101,
    "hmdb51": write_hmdb51,
    "charades": write_charades,
    "something-something": lambda root: write_something(root, "labels/"),
    "jester": write_jester,
    "kinetics": lambda root: touch(write_kinetics(root), "abcdefghijk.mp4", "#bcdefghijk.mp4", "whole.mp4"),
    "list": lambda root: write_lists(root, "a.mp4 0\na.mp4 0\nb.mp4 1 2 3\n#\nc.mp4 -1\n", "d.mp4 0\n"),
    "multi-label": lambda root: write_lists(root, "a.mp4 run;walk 0 2\nb.mp4 run\n"),
    "folders": lambda root: touch(root, "run/a.mp4", "walk/b.mp4", "walk/c.txt"),
}


def made(name: str) -> Reader:
    module, _, kind = READERS[name].partition(":")
    reader: Reader = getattr(importlib.import_module(module), kind)()
    return reader


@pytest.mark.parametrize("name", READERS)
def test_readers_conform(tmp_path: Path, name: str) -> None:
    root = WRITERS[name](tmp_path)
    split = 2 if name == "ucf101" else 1
    check_reader(made(name), DataConfig.model_validate({"path": root, "official_split": split}))
    found = [other for other in READERS if made(other).recognises(root)]
    assert found[0] == ("list" if name == "multi-label" else name)  # multi-label is only ever named
    assert not any(made(other).recognises(tmp_path / "nowhere") for other in READERS)


class Given:
    """Lists what it was given."""

    def __init__(self, listed: Listed) -> None:
        self.listed = listed

    def recognises(self, folder: Path) -> bool:
        return False

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        return self.listed


VIDEO = ListedVideo(key="a.mp4", shows=(LabelSpan("run"),))
GOOD = Listed(name="data", root=Path("data"), splits={"train": (VIDEO,)}, origins={"train": "data"})


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (replace(GOOD, splits={}), "must list videos to train on"),
        (replace(GOOD, origins={}), "must say where each split was listed"),
        (replace(GOOD, splits={"train": (VIDEO, VIDEO)}), "must list each video of train once"),
        (
            replace(GOOD, splits={"train": (replace(VIDEO, key="../a.mp4"),)}),
            "must not lead outside of the data's folder: '../a.mp4'",
        ),
        (
            replace(GOOD, splits={"train": (replace(VIDEO, key="/a.mp4"),)}),
            "must be in the data's folder: '/a.mp4'",
        ),
        (
            replace(GOOD, splits={"train": (replace(VIDEO, shows=()),)}),
            "must give a.mp4 one label, or set several",
        ),
        (replace(GOOD, classes=("walk",)), "must have all labels among its classes, but not ['run']"),
        (replace(GOOD, classes=("run", "run")), "must list each class once"),
        (
            replace(GOOD, left_out=(LeftOut(what="rows", count=0, example=""),)),
            "must leave out none of 'rows' in silence, nor say so of none",
        ),
    ],
)
def test_what_does_not_hold_is_said(listed: Listed, message: str) -> None:
    check_reader(Given(GOOD), DataConfig())
    with pytest.raises(AssertionError) as caught:
        check_reader(Given(listed), DataConfig())
    assert str(caught.value).splitlines()[0] == message
