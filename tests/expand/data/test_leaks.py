from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from expand.data.base import SPLITS, Cut, Item
from expand.data.file_source import FileSource
from expand.data.labels import Segment
from expand.data.leaks import (
    Leak,
    TwoLabels,
    all_leaks,
    describe,
    describe_labels,
    listed_leaks,
    two_labels,
)


def source(**splits: list[Item]) -> FileSource:
    return FileSource(
        name="data",
        root=Path("data"),
        classes=("a",),
        splits={split: tuple(splits.get(split, ())) for split in SPLITS},
    )


def whole(key: str) -> Item:
    return Item(key=key, label=0)


def part(start: float, end: float) -> Item:
    return Item(key=f"long.mp4 {start}-{end}", label=0, cut=Cut(file="long.mp4", start=start, end=end))


def test_a_file_in_two_splits() -> None:
    data = source(train=[whole("1.mp4"), whole("2.mp4")], val=[whole("2.mp4")], test=[whole("1.mp4")])
    assert listed_leaks(data) == (
        Leak(earlier="1.mp4", later="1.mp4", splits=("train", "test"), how="same file"),
        Leak(earlier="2.mp4", later="2.mp4", splits=("train", "val"), how="same file"),
    )


def test_a_group_of_ucf101_in_two_splits() -> None:
    names = [f"run/v_run_g{group:02}_c{clip:02}.avi" for group in (1, 2) for clip in (1, 2)]
    data = source(train=[whole(names[0]), whole(names[2])], val=[whole(names[1])])
    assert listed_leaks(data) == (
        Leak(earlier=names[0], later=names[1], splits=("train", "val"), how="same group"),
    )


def test_parts_of_one_video_leak_where_they_overlap() -> None:
    data = source(train=[part(0, 5), part(10, 20)], val=[part(5, 10), part(12, 13)])
    assert [(leak.earlier, leak.later) for leak in listed_leaks(data)] == [
        ("long.mp4 10-20", "long.mp4 12-13")
    ]
    assert listed_leaks(source(train=[whole("long.mp4")], val=[part(1, 2)])) != ()


def test_a_long_part_is_found_behind_a_short_one() -> None:
    data = source(train=[part(0, 100), part(1, 2)], val=[part(50, 60)])
    assert [leak.earlier for leak in listed_leaks(data)] == ["long.mp4 0-100"]


def test_equal_bytes_under_two_names() -> None:
    data = source(train=[whole("1.mp4"), part(0, 1)], val=[whole("2.mp4"), part(2, 3)])
    digests = {"1.mp4": "x", "2.mp4": "x", "long.mp4 0-1": "y", "long.mp4 2-3": "y"}
    assert all_leaks(data, digests) == (
        Leak(earlier="1.mp4", later="2.mp4", splits=("train", "val"), how="same bytes"),
    )


def labelled(**labels: int) -> FileSource:
    items = tuple(Item(key=f"{name}.mp4", label=label) for name, label in labels.items())
    return replace(source(train=[*items]), classes=("walk", "run"))


def test_a_video_with_two_labels() -> None:
    digests = {"a.mp4": "x", "b.mp4": "x", "c.mp4": "x", "d.mp4": "y", "e.mp4": "y"}
    found = two_labels(labelled(a=0, b=1, c=0, d=1, e=1), digests)
    assert found == (TwoLabels(videos=("a.mp4", "b.mp4"), labels=("walk", "run")),)
    assert describe_labels(found) == (
        "1 video has two labels, of which one must be wrong: a.mp4 (walk) = b.mp4 (run)",
    )
    assert describe_labels(found * 4) == (
        "4 videos have two labels, of which one must be wrong: a.mp4 (walk) = b.mp4 (run), a.mp4 (walk) = "
        "b.mp4 (run), a.mp4 (walk) = b.mp4 (run) and 1 more",
    )
    assert describe_labels(()) == ()


def test_a_video_that_two_splits_label_differently_is_known_from_the_lists() -> None:
    one, other = Item(key="a.mp4", label=0), Item(key="a.mp4", label=1)
    data = replace(source(train=[one], val=[other]), classes=("walk", "run"))
    assert two_labels(data, {}) == (TwoLabels(videos=("a.mp4", "a.mp4"), labels=("walk", "run")),)


def test_of_several_labels_all_must_agree() -> None:
    segments = {"a.mp4": [0, 1], "b.mp4": [1, 0, 1], "c.mp4": [0], "d.mp4": []}
    data = replace(
        source(train=[whole(key) for key in segments]),
        classes=("walk", "run"),
        segments={
            key: tuple(Segment(label=n, start=0, end=1) for n in shown) for key, shown in segments.items()
        },
    )
    assert [one.words for one in two_labels(data, dict.fromkeys(segments, "x"))] == [
        "a.mp4 (walk, run) = c.mp4 (walk)",
        "a.mp4 (walk, run) = d.mp4 (nothing)",
    ]


def test_what_leaks_mean() -> None:
    data = source(train=[whole(f"{k}.mp4") for k in range(5)], val=[whole(f"{k}.mp4") for k in range(4)])
    assert describe(listed_leaks(data), data) == (
        "4 of 4 videos of val are in an earlier split too, so accuracy on it will look too high: "
        "0.mp4 = 0.mp4 (same file), 1.mp4 = 1.mp4 (same file), 2.mp4 = 2.mp4 (same file) and 1 more",
    )
