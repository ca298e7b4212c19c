"""Data sets in the layout that they are published in; the readers' docstrings say where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expand.data.base import Source
from expand.data.file_source import FileSource
from tests.expand.data.test_sources import error, opened, shown, touch

DECIDES = "decide, as there are no others for validation"


def notes(source: Source) -> tuple[str, ...]:
    assert isinstance(source, FileSource)
    return source.notes


# HMDB51


@pytest.fixture
def hmdb51(tmp_path: Path) -> Path:
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    names = {label: [f"{start}_{label}_u_cm_np1_fr_goo_{n}.avi" for n in range(4)] for label, start in NAMES}
    for label, own in names.items():
        touch(tmp_path / label, *own)
        for split, flags in ((1, "1120"), (2, "2111")):
            rows = (f"{name} {flag} \n" for name, flag in zip(own, flags, strict=True))
            (lists / f"{label}_test_split{split}.txt").write_text("".join(rows))
    return tmp_path


NAMES = [("brush_hair", "#20_Rhythm_clap"), ("wave", "April 09; [1]")]


def test_hmdb51(hmdb51: Path) -> None:
    source = opened(hmdb51)
    assert source.classes == ("brush_hair", "wave")
    assert shown(source, "train")[:2] == [
        ("brush_hair/#20_Rhythm_clap_brush_hair_u_cm_np1_fr_goo_0.avi", "brush_hair"),
        ("brush_hair/#20_Rhythm_clap_brush_hair_u_cm_np1_fr_goo_1.avi", "brush_hair"),
    ]
    assert shown(source, "val")[1] == ("wave/April 09; [1]_wave_u_cm_np1_fr_goo_2.avi", "wave")
    assert notes(source)[0] == (
        "left out: videos that split 1 does not use: 2, such as "
        "'brush_hair/#20_Rhythm_clap_brush_hair_u_cm_np1_fr_goo_3.avi'"
    )
    assert DECIDES in notes(source)[1]
    assert [len(items) for items in opened(hmdb51, official_split=2).splits.values()] == [6, 2, 0]


def test_a_share_of_hmdb51_is_set_aside_and_its_test_is_kept(hmdb51: Path) -> None:
    source = opened(hmdb51, official_split=2, val_share=0.3, splits=("train", "val", "test"))
    assert [len(items) for items in source.splits.values()] == [4, 2, 2]
    assert notes(source) == ()
    assert opened(hmdb51, official_split=2, val_share=0.3).splits["test"] == ()


def test_the_test_of_hmdb51_can_be_named_either_way(hmdb51: Path) -> None:
    assert shown(opened(hmdb51, splits=("test",)), "test") == shown(opened(hmdb51, splits=("val",)), "val")


def test_mistakes_in_hmdb51(hmdb51: Path, tmp_path: Path) -> None:
    assert error(hmdb51, format="hmdb51", official_split=3) == (
        f"HMDB51 must have its split files, but {hmdb51} has no testTrainMulti_7030_splits/"
        "*_test_split3.txt: unpack test_train_splits.rar there."
    )
    path = hmdb51 / "testTrainMulti_7030_splits/wave_test_split1.txt"
    path.write_text("a.avi 1\nb.avi 3\n")
    assert error(hmdb51) == f"{path}:2 must be a video and 0, 1 or 2, got 'b.avi 3'."


def test_a_video_that_is_listed_twice(hmdb51: Path) -> None:
    path = hmdb51 / "testTrainMulti_7030_splits/wave_test_split1.txt"
    path.write_text("a.avi 1\na.avi 1\nb.avi 2\n")
    source = opened(hmdb51)
    assert len(source.splits["train"]) == 3
    assert "left out: videos of train that are listed again: 1, such as 'wave/a.avi'" in notes(source)


# Kinetics

KINETICS = "label,youtube_id,time_start,time_end,split\n"


def write_kinetics(root: Path, *, prefix: str = "", folder: str = "") -> Path:
    rows = {
        "train": ['"playing, loudly",-2Fjs9-XQe0,3,13', "archery,abcdefghijk,0,10", "archery,gone,20,30"],
        "val": ["archery,#bcdefghijk,100,110"],
        "test": ["archery,whole,7,17"],
    }
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split, lines in rows.items():
        (root / folder / f"{prefix}{split}.csv").write_text(
            KINETICS + "".join(f"{line},{split}\n" for line in lines)
        )
    return root


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("kinetics-400_", "annotations"), ("k700_", "")])
def test_kinetics(tmp_path: Path, prefix: str, folder: str) -> None:
    write_kinetics(tmp_path, prefix=prefix, folder=folder)
    touch(tmp_path, "train/playing loudly/-2Fjs9-XQe0_000003_000013.mp4", "val/#bcdefghijk_000100_000110.mkv")
    touch(tmp_path, "archery/abcdefghijk.webm", "whole_000007_000017.mp4")
    source = opened(tmp_path, splits=("train", "val", "test"))
    assert shown(source, "train") == [
        ("train/playing loudly/-2Fjs9-XQe0_000003_000013.mp4", "playing, loudly"),
        ("archery/abcdefghijk.webm", "archery"),
    ]
    assert shown(source, "val") == [("val/#bcdefghijk_000100_000110.mkv", "archery")]
    assert shown(source, "test") == [("whole_000007_000017.mp4", "archery")]
    assert notes(source) == (
        f"left out: videos of {prefix}train.csv that are not there: 1, such as 'gone_000020_000030'",
    )


def test_no_search_reads_the_test_of_kinetics(tmp_path: Path) -> None:
    touch(write_kinetics(tmp_path), "-2Fjs9-XQe0.mp4", "abcdefghijk.mp4", "#bcdefghijk.mp4", "whole.mp4")
    before = opened(tmp_path).checksum()
    (tmp_path / "whole.mp4").unlink()
    (tmp_path / "test.csv").write_text(KINETICS + "no row\n")
    source = opened(tmp_path)
    assert (source.checksum(), source.splits["test"]) == (before, ())
    assert "must have the 5 columns of its first line, got 1" in error(tmp_path, splits=("test",))


def test_a_table_of_kinetics_without_labels_is_no_test(tmp_path: Path) -> None:
    touch(write_kinetics(tmp_path), "-2Fjs9-XQe0.mp4", "abcdefghijk.mp4", "#bcdefghijk.mp4", "whole.mp4")
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end,split\nwhole,7,17,test\n")
    assert error(tmp_path, splits=("test",)) == (
        f"the data must hold videos to test on, but {tmp_path} has none: name a list of them (data.test), or "
        "test on another split."
    )


def test_mistakes_in_kinetics(tmp_path: Path) -> None:
    assert error(tmp_path, format="kinetics") == (
        f"Kinetics must have its own tables, but {tmp_path} has no train.csv with the columns label, "
        "youtube_id, time_start and time_end: put it there."
    )
    (tmp_path / "train.csv").write_text(KINETICS + "archery,a,3,13,train\narchery,,3,13,train\n")
    assert error(tmp_path) == (
        f"{tmp_path / 'train.csv'}:3 must have a label, a youtube_id and times, got 'archery,,3,13,train': "
        "correct the line."
    )
    (tmp_path / "train.csv").write_text(KINETICS + "archery,a,3,13,train\n" * 2)
    touch(tmp_path, "a.mp4")
    assert error(tmp_path) == (
        f"the data must hold videos to decide by, but of {tmp_path / 'train.csv'} none can be set aside, as "
        "each class has one video or one group of them: add videos, or a list (data.val)."
    )


# Something-Something V2


def write_something(root: Path, prefix: str) -> Path:
    lists = {
        "labels": {"Holding something next to something": "1", "Hitting something": "0", "Unused": "2"},
        "train": [
            {
                "id": "78687",
                "label": "holding a potato",
                "template": "Holding [something] next to [something]",
            },
            {"id": "42326", "label": "hitting a cup", "template": "Hitting [something]", "placeholders": []},
        ],
        "validation": [{"id": "74225", "template": "Hitting [something]"}],
        "test": [{"id": "1420"}],
    }
    for name, values in lists.items():
        touch(root, f"{prefix}{name}.json").joinpath(f"{prefix}{name}.json").write_text(json.dumps(values))
    return root


@pytest.mark.parametrize("prefix", ["something-something-v2-", "labels/"])
@pytest.mark.parametrize("folder", ["20bn-something-something-v2/", "videos/", ""])
def test_something_something(tmp_path: Path, prefix: str, folder: str) -> None:
    touch(write_something(tmp_path, prefix), *(f"{folder}{number}.webm" for number in (78687, 42326, 74225)))
    source = opened(tmp_path)
    assert source.classes == ("Hitting something", "Holding something next to something")
    assert shown(source, "train") == [
        (f"{folder}78687.webm", "Holding something next to something"),
        (f"{folder}42326.webm", "Hitting something"),
    ]
    assert shown(source, "val") == [(f"{folder}74225.webm", "Hitting something")]
    assert notes(source) == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels", "[]", ' must give each class its number, such as {"Hitting something": "1"}.'),
        ("train", "{}", " must be a list of videos, got dict."),
        ("train", "[", " must be JSON, but it cannot be parsed: Expecting value: line 1 column 2 (char 1)."),
        ("train", '[{"id": "1"}]', ': entry 0 must have an id and a template, got {"id": "1"}.'),
        (
            "train",
            '[{"id": "1", "template": "Eating [something]"}]',
            ": entry 0 must have a template of the labels, got 'Eating [something]'.",
        ),
    ],
)
def test_mistakes_in_something_something(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write_something(tmp_path, "labels/") / f"labels/{name}.json"
    path.write_text(text)
    assert error(tmp_path) == f"{path}{message}"


# Jester


@pytest.fixture
def jester(tmp_path: Path) -> Path:
    (tmp_path / "jester-v1-labels.csv").write_text("Swiping Left\nDoing other things\nUnused\n")
    (tmp_path / "jester-v1-train.csv").write_text("34870;Doing other things\n56557;Swiping Left\n")
    (tmp_path / "jester-v1-validation.csv").write_text("9223;Swiping Left\n")
    (tmp_path / "jester-v1-test.csv").write_text("1\n2\n")
    return touch(tmp_path, *(f"20bn-jester-v1/{n}/{i:05}.jpg" for n in (34870, 56557, 9223) for i in (1, 2)))


def test_jester(jester: Path) -> None:
    source = opened(jester)
    assert isinstance(source, FileSource)
    assert source.classes == ("Swiping Left", "Doing other things")
    assert source.frames_fps == 12
    assert shown(source, "train") == [
        ("20bn-jester-v1/34870", "Doing other things"),
        ("20bn-jester-v1/56557", "Swiping Left"),
    ]
    assert shown(source, "val") == [("20bn-jester-v1/9223", "Swiping Left")]
    slower = opened(jester, frames_fps=6)
    assert isinstance(slower, FileSource)
    assert slower.frames_fps == 6


def test_mistakes_in_jester(jester: Path) -> None:
    (jester / "jester-v1-validation.csv").write_text("9223;Swiping Left\n9224\n")
    assert error(jester) == (
        f"{jester / 'jester-v1-validation.csv'}:2 must be a number and a class of the labels, such as "
        "`34870;Drumming Fingers`, got '9224'."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "something-something",
            "Something-Something must have its own lists, but {} has no something-something-v2-train.json "
            "beside "
            "something-something-v2-labels.json: put them there.",
        ),
        (
            "jester",
            "Jester must have its own lists, but {} has no jester-v1-train.csv beside "
            "jester-v1-labels.csv: put "
            "them there.",
        ),
    ],
)
def test_a_data_set_that_is_not_there(tmp_path: Path, name: str, message: str) -> None:
    assert error(tmp_path, format=name) == message.format(tmp_path)
