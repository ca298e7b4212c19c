"""Videos with several labels: lists, and Charades' own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.config.data import DataConfig
from expand.data.file_source import FileSource
from expand.data.labels import Segment
from expand.data.readers.several_labels import shown
from expand.data.sources import open_source, shown_labels
from expand.system.errors import UserError

CLASSES = "c000 Holding some clothes\nc001 Putting clothes somewhere\nc002 Taking some clothes\n"
HEADER = "id,subject,actions,length\n"


def several(path: Path, **settings: Any) -> FileSource:
    source = open_source(DataConfig(path=path, flip=False, format="multi-label", **settings))
    assert isinstance(source, FileSource)
    return source


def charades(path: Path, train: str, test: str, **settings: Any) -> FileSource:
    (path / "Charades_v1_480").mkdir()
    (path / "Charades_v1_classes.txt").write_text(CLASSES)
    (path / "Charades_v1_train.csv").write_text(HEADER + train)
    (path / "Charades_v1_test.csv").write_text(HEADER + test)
    source = open_source(DataConfig(path=path, flip=False, **settings))
    assert isinstance(source, FileSource)
    return source


def test_labels_with_times_and_without() -> None:
    assert shown("run 0 2.5; walk the dog ;jump 2 4", "here") == (
        ("run", 0.0, 2.5),
        ("walk the dog", 0.0, float("inf")),
        ("jump", 2.0, 4.0),
    )
    with pytest.raises(UserError, match="here must have labels that end after they start, got 'run 3 2'"):
        shown("run 3 2", "here")


def test_a_list_of_several_labels(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 run 0 2.5;sunny\nb.mp4 walk\na.mp4 run 5 6\n")
    (tmp_path / "val.txt").write_text("c.mp4 sunny;walk 1 2\n")
    source = several(tmp_path)
    assert source.classes == ("run", "sunny", "walk")
    assert [item.key for item in source.splits["train"]] == ["a.mp4", "b.mp4"]
    assert source.segments == {
        "a.mp4": (
            Segment(label=0, start=0, end=2.5),
            Segment(label=1),
            Segment(label=0, start=5, end=6),
        ),
        "b.mp4": (Segment(label=2),),
        "c.mp4": (Segment(label=1), Segment(label=2, start=1, end=2)),
    }
    assert shown_labels(source, source.splits["train"][0]) == {0, 1}


def test_numbers_and_names_of_classes(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("run\nwalk\nunused\n")
    (tmp_path / "train.txt").write_text("a.mp4 0;walk 1 2\nb.mp4 1\n")
    source = several(tmp_path, val_share=0.5)
    assert source.classes == ("run", "walk") or source.classes == ("walk",)
    assert {item.key for split in source.splits.values() for item in split} == {"a.mp4", "b.mp4"}


def test_what_decides_the_checksum(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 run 0 2;walk\n")
    (tmp_path / "val.txt").write_text("b.mp4 run\n")
    before = several(tmp_path).checksum()
    assert several(tmp_path).checksum() == before
    (tmp_path / "train.txt").write_text("a.mp4 run 0 3;walk\n")
    assert several(tmp_path).checksum() != before


def test_charades_is_found_by_its_tables(tmp_path: Path) -> None:
    source = charades(
        tmp_path,
        'AB12C,S1,c001 1.5 3;c000 0 9.25,10\nXY,S2,"",5\n',
        "ZZ,S3,c000 2 4,6\n",
    )
    assert source.classes == ("Holding some clothes", "Putting clothes somewhere")
    assert [item.key for item in source.splits["train"]] == [
        "Charades_v1_480/AB12C.mp4",
        "Charades_v1_480/XY.mp4",
    ]
    assert source.segments is not None
    assert source.segments["Charades_v1_480/AB12C.mp4"] == (
        Segment(label=1, start=1.5, end=3),
        Segment(label=0, start=0, end=9.25),
    )
    assert source.segments["Charades_v1_480/XY.mp4"] == ()


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("A,S,c009 1 2,5\n", "", "Charades_v1_train.csv:2 must have classes of Charades_v1_classes.txt"),
        ("A,S,c000 1 2,5\n", "B,S,c001 1 2,5\n", "every class in validation must be in training too"),
        ('A,S,"",5\n', 'B,S,"",5\n', "the data must have labels to train on"),
        ("A,S,c000 2 1,5\n", "", "must have labels that end after they start"),
    ],
)
def test_mistakes_in_charades(tmp_path: Path, train: str, test: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        charades(tmp_path, train, test)
    assert "\n" not in str(caught.value)


def test_no_charades_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no Charades_v1_train.csv: unpack Charades.zip there"):
        open_source(DataConfig(path=tmp_path, format="charades"))
    (tmp_path / "Charades_v1_train.csv").write_text("id;actions\n")
    (tmp_path / "Charades_v1_classes.txt").write_text(CLASSES)
    with pytest.raises(UserError, match="must be a table with the columns id and actions"):
        open_source(DataConfig(path=tmp_path))
    (tmp_path / "Charades_v1_classes.txt").write_text("Holding\n")
    with pytest.raises(UserError, match="must be a code and a class such as `c000 Holding some clothes`"):
        open_source(DataConfig(path=tmp_path))


def test_a_class_that_training_lacks(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 run;walk\n")
    (tmp_path / "val.txt").write_text("b.mp4 jump\n")
    with pytest.raises(UserError, match="every class in validation must be in training too, but 'jump'"):
        several(tmp_path)
    (tmp_path / "classes.txt").write_text("run\nwalk\n")
    with pytest.raises(UserError, match=r"val.txt:1 must have a class of classes.txt"):
        several(tmp_path)
