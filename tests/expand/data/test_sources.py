from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.config.data import DataConfig
from expand.data.base import SEARCHED, SPLITS, Source, SplitName
from expand.data.file_source import FileSource
from expand.data.flips import flip_swaps
from expand.data.sources import open_source
from expand.data.splitting import stratified_split
from expand.system.errors import UserError
from tests.expand.data.videos import write_clip


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def opened(path: Path | None = None, *, splits: Sequence[SplitName] = SEARCHED, **settings: Any) -> Source:
    return open_source(DataConfig(path=path, flip=False, **settings), splits=splits)


def write_lists(root: Path, train: str, val: str | None = None) -> Path:
    """Lists for training and, with the same lines where nothing else is said, for validation."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "train.txt").write_text(train)
    (root / "val.txt").write_text(train if val is None else val)
    return root


def shown(source: Source, split: SplitName) -> list[tuple[str, str]]:
    return [(item.key, source.classes[item.label]) for item in source.splits[split]]


def error(path: Path | None = None, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        opened(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Folders


def test_class_folders_are_split(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{i}.mp4" for name in ("walk", "run") for i in range(10)))
    source = opened(tmp_path, val_share=0.3)
    assert source.classes == ("run", "walk")
    assert source.name == tmp_path.name
    assert [len(source.splits[split]) for split in SPLITS] == [14, 6, 0]
    assert all(key.startswith(label) for split in SPLITS for key, label in shown(source, split))


def test_a_share_of_each_class_can_be_trained_on(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{i:02}.mp4" for name in ("walk", "run") for i in range(20)))
    whole, half = opened(tmp_path), opened(tmp_path, share=0.5)
    assert shown(half, "val") == shown(whole, "val")
    kept = shown(half, "train")
    assert {*kept} < {*shown(whole, "train")}
    assert [label for _, label in kept].count("run") == [label for _, label in kept].count("walk") == 8
    assert kept == shown(opened(tmp_path, share=0.5), "train")
    assert kept != shown(opened(tmp_path, share=0.5, val_share=0.2, split_seed=1), "train")


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_folders_of_class_folders_are_given_splits(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/run/a.mp4", "train/walk/b.avi", f"{name}/walk/c.webm")
    source = opened(tmp_path)
    assert shown(source, "train") == [("train/run/a.mp4", "run"), ("train/walk/b.avi", "walk")]
    assert shown(source, "val") == [(f"{name}/walk/c.webm", "walk")]


def test_what_is_no_video_is_left_alone(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/deep/b.MOV", "run/.c.mp4", "run/d.txt", ".git/e.mp4", "walk/f.mp4")
    touch(tmp_path / "elsewhere", "g.mp4").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (tmp_path / "walk/linked").symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (tmp_path / "walk/loop").symlink_to(tmp_path / "walk")
    (tmp_path / "walk/broken.mp4").symlink_to(tmp_path / "nowhere.mp4")
    source = opened(tmp_path)
    keys = sorted(key for split in SPLITS for key, _ in shown(source, split))
    assert keys == ["run/a.mp4", "run/deep/b.MOV", "walk/broken.mp4", "walk/f.mp4", "walk/linked/g.mp4"]


# Lists


def test_a_list_with_its_classes(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("run\nwalk\nunused\n")
    (tmp_path / "train.txt").write_text("# paths and labels\n\na.mp4 0\nwith space/b 2.mp4   1\n")
    (tmp_path / "val.txt").write_text("c.mp4 1\n")
    source = opened(tmp_path)
    assert source.classes == ("run", "walk")
    assert shown(source, "train") == [("a.mp4", "run"), ("with space/b 2.mp4", "walk")]
    assert shown(source, "val") == [("c.mp4", "walk")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.mp4,run\nb.mp4, walk the dog\n", [("a.mp4", "run"), ("b.mp4", "walk the dog")]),
        ("path,label\na, b.mp4,run\nc.mp4,walk\n", [("a, b.mp4", "run"), ("c.mp4", "walk")]),
        ('"a.mp4","run"\n"b.mp4","walk"\n', [("a.mp4", "run"), ("b.mp4", "walk")]),
        ("a run\nb walk\n", [("a", "run"), ("b", "walk")]),
        ("a.mp4 10\nb.mp4 9\n", [("a.mp4", "10"), ("b.mp4", "9")]),
        ("\ufeffa.mp4 run\r\nb.mp4 walk\r\n", [("a.mp4", "run"), ("b.mp4", "walk")]),
    ],
)
def test_lines_of_lists(tmp_path: Path, text: str, wanted: list[tuple[str, str]]) -> None:
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    (tmp_path / "val.csv").write_text(text, encoding="utf-8")
    assert shown(opened(tmp_path), "train") == wanted


def test_numbers_without_names_are_ordered_as_numbers(tmp_path: Path) -> None:
    assert opened(write_lists(tmp_path, "a.mp4 10\nb.mp4 9\nc.mp4 2\n")).classes == ("2", "9", "10")


def test_numbered_names(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("0 run\n1 walk the dog\n")
    assert opened(write_lists(tmp_path, "a.mp4 1\nb.mp4 0\n")).classes == ("run", "walk the dog")


def test_a_list_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, "videos/a.mp4", "lists/b.mp4")
    path = tmp_path / "lists/mine.txt"
    path.write_text("a.mp4 run\nb.mp4 walk\n")
    source = opened(tmp_path / "videos", train=path, val=path)
    assert isinstance(source, FileSource)
    found = {source.path(item) for split in SPLITS for item in source.splits[split]}
    assert found == {tmp_path / "videos/a.mp4", tmp_path / "lists/b.mp4"}


def test_a_list_without_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    path = tmp_path / "mine.txt"
    path.write_text("a.mp4 run\nb.mp4 walk\n")
    source = opened(train=path, val=path)
    assert isinstance(source, FileSource)
    assert all(source.path(item).is_file() for item in source.splits["train"])


# UCF101


def write_ucf101(root: Path) -> Path:
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("1 ApplyEyeMakeup\n2 Archery\n")
    (lists / "trainlist02.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1\nArchery/v_Archery_g01_c01.avi 2\n"
    )
    (lists / "testlist02.txt").write_text("Archery/v_Archery_g02_c01.avi\n")
    (root / "UCF-101").mkdir()
    return root


def test_ucf101(tmp_path: Path) -> None:
    source = opened(write_ucf101(tmp_path), official_split=2)
    assert source.classes == ("ApplyEyeMakeup", "Archery")
    assert shown(source, "train")[0] == (
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "ApplyEyeMakeup",
    )
    assert shown(source, "val") == [("UCF-101/Archery/v_Archery_g02_c01.avi", "Archery")]


# The split

Listed = st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abcd")), unique=True, min_size=1).map(
    lambda pairs: [(f"{label}/{number}.mp4", label) for number, label in pairs]
)


@given(listed=Listed, share=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_a_split_is_whole_stratified_and_the_same_in_any_order(
    listed: list[tuple[str, str]], share: float, seed: int
) -> None:
    splits = stratified_split(listed, share=share, seed=seed)
    assert sorted(splits["train"] + splits["val"]) == sorted(listed)
    for label in {label for _, label in listed}:
        train, val = (sum(name == label for _, name in splits[side]) for side in ("train", "val"))
        assert train >= 1
        assert val >= 1 or train == 1
        assert abs(val - share * (train + val)) <= 1
    mixed = random.Random(seed).sample(listed, len(listed))
    assert stratified_split(mixed, share=share, seed=seed) == splits


def test_seeds_give_other_splits() -> None:
    listed = [(f"{i}.mp4", "a") for i in range(100)]
    assert stratified_split(listed, share=0.2, seed=0) != stratified_split(listed, share=0.2, seed=1)


# The checksum


def test_the_checksum_covers_bytes_labels_and_splits(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{i}.mp4" for name in ("run", "walk") for i in range(4)))
    seen = {opened(tmp_path).checksum()}
    assert opened(tmp_path).checksum() in seen
    for change in (
        lambda: (tmp_path / "run/0.mp4").write_text("other"),
        lambda: (tmp_path / "run/0.mp4").rename(tmp_path / "run/9.mp4"),
        lambda: (tmp_path / "run/9.mp4").rename(tmp_path / "walk/9.mp4"),
        lambda: (tmp_path / "run").rename(tmp_path / "sprint"),
    ):
        change()
        seen.add(opened(tmp_path).checksum())
    seen.add(opened(tmp_path, split_seed=1).checksum())
    assert len(seen) == 6


def test_a_missing_file_has_a_checksum_too(tmp_path: Path) -> None:
    before = opened(write_lists(tmp_path, "a.mp4 run\nb.mp4 walk\n")).checksum()
    touch(tmp_path, "a.mp4")
    assert opened(tmp_path).checksum() != before


def test_a_source_decodes_and_pickles(tmp_path: Path) -> None:
    write_clip(tmp_path / "run/a.mp4")
    write_clip(tmp_path / "walk/b.mp4")
    write_lists(tmp_path, "run/a.mp4 run\nwalk/b.mp4 walk\n")
    source = pickle.loads(pickle.dumps(opened(tmp_path)))
    item = source.splits["train"][0]
    assert source.inspect(item).frames == 15
    (found,) = source.read([item], lambda seconds: np.arange(0, seconds, 0.2), short_side=24)
    assert found.frames.shape == (5, 24, 32, 3)


def test_synthetic_clips_are_a_source() -> None:
    source = opened(format="synthetic")
    assert len(source.classes) >= 2


# Flips


def test_flip_labels_pair_classes() -> None:
    config = DataConfig(flip_labels={"left": "right"})
    assert flip_swaps(config, ("left", "right", "up")) == (1, 0, 2)
    both_ways = DataConfig(flip_labels={"left": "right", "right": "left"})
    assert flip_swaps(both_ways, ("left", "right", "up")) == (1, 0, 2)


# Messages


def test_no_path() -> None:
    assert error() == (
        "data.path must name the folder of the videos, got nothing: set data.path, data.train (a list), "
        "or data.format: synthetic."
    )


def test_a_format_without_its_path(tmp_path: Path) -> None:
    touch(tmp_path, "train.txt")
    assert error(format="folders", train=tmp_path / "train.txt") == (
        "data.format folders needs data.path, the folder of the videos, got nothing."
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert error(path) == f"data.path must be a folder, got {path}: no such folder."


def test_a_folder_without_videos(tmp_path: Path) -> None:
    assert error(tmp_path) == (
        f"the data must hold videos to train on, but {tmp_path} has none: look for files that end in "
        "3gp, avi, f4v, flv, gif, m2ts, m4v, mkv, mov, mp4, mpeg, mpg, mts, ogv, ts, vob, webm, wmv."
    )


def test_one_class(tmp_path: Path) -> None:
    assert error(touch(tmp_path, "run/a.mp4", "run/b.mp4")) == (
        f"the data must have at least 2 classes, but {tmp_path} has 1 (run): "
        "check that each class has its own folder or label."
    )


def test_a_label_that_training_lacks(tmp_path: Path) -> None:
    assert error(touch(tmp_path, "train/run/a.mp4", "train/walk/b.mp4", "val/jump/c.mp4")) == (
        "every class in validation must be in training too, but 'jump' (val/jump/c.mp4) is not: "
        "add training videos of it, or take it out of validation."
    )


@pytest.mark.parametrize("line", ["a.mp4", "my film.mp4", "a.mp4,"])
def test_a_malformed_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.txt"
    path.write_text(f"b.mp4 run\n{line}\n")
    assert error(tmp_path) == f"{path}:2 must be `path label` or `path,label`, got {line!r}."


def test_a_label_that_classes_lack(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("run\nwalk\n")
    (tmp_path / "train.txt").write_text("a.mp4 0\nb.mp4 2\n")
    assert error(tmp_path) == (
        f"{tmp_path / 'train.txt'}:2 must have a class of classes.txt or its number from 0 to 1, got '2': "
        "correct the line or classes.txt; numbers that count from 1 need them before its names, as `1 run`."
    )


def test_a_list_that_does_not_exist(tmp_path: Path) -> None:
    assert error(tmp_path, train=Path("mine.txt")) == (
        "data.train must name a list of videos, got mine.txt: no such file."
    )
    (tmp_path / "train.txt").write_text("a.mp4 run\n")
    assert error(tmp_path, val=Path("mine.txt")) == (
        "data.val must name a list of videos, got mine.txt: no such file."
    )


def test_no_list_at_all(tmp_path: Path) -> None:
    assert error(tmp_path, format="list") == (
        f"data.train must name a list, but {tmp_path} has no train.txt or train.csv."
    )


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(b"\xff\xfe\xfa")
    assert error(tmp_path) == f"{path} must be text in UTF-8: convert it."


def test_ucf101_without_its_lists(tmp_path: Path) -> None:
    assert error(tmp_path, format="ucf101") == (
        f"UCF101 must have its split files, but {tmp_path} has no ucfTrainTestlist/classInd.txt: "
        "unpack UCF101TrainTestSplits-RecognitionTask.zip there."
    )
    path = write_ucf101(tmp_path) / "ucfTrainTestlist/testlist01.txt"
    (path.parent / "trainlist01.txt").write_text("Archery/a.avi 2\n")
    assert error(tmp_path) == f"{path} cannot be read: No such file or directory."
    path.write_text("Bowling/a.avi\n")
    assert error(tmp_path) == f"{path}:1 must start with a class of classInd.txt, got 'Bowling/a.avi'."
    numbered = path.with_name("classInd.txt")
    numbered.write_text("ApplyEyeMakeup\n")
    assert error(tmp_path) == (
        f"{numbered} must have a number and a class a line, such as `1 ApplyEyeMakeup`."
    )


def test_flip_labels_of_unknown_classes(tmp_path: Path) -> None:
    touch(tmp_path, "left/a.mp4", "left/b.mp4", "right/c.mp4")
    with pytest.raises(UserError) as caught:
        open_source(DataConfig(path=tmp_path, flip_labels={"left": "rigth"}))
    assert str(caught.value) == (
        "data.flip_labels must name classes of the data, got 'rigth': known are left, right."
    )


def test_flip_labels_that_pair_a_class_twice() -> None:
    with pytest.raises(UserError) as caught:
        flip_swaps(DataConfig(flip_labels={"a": "b", "b": "c"}), ("a", "b", "c"))
    assert str(caught.value) == (
        "data.flip_labels must pair each class with one other, got 'b': 'c' besides another pair with one of "
        "them: take one of the two out."
    )
