"""Reads lists of labelled videos: train.txt, val.txt and test.txt, or files that the settings name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SPLITS, Cut, SplitName
from expand.data.readers.base import (
    LabelSpan,
    LeftOut,
    Listed,
    ListedVideo,
    data_name,
    left_out,
    part_key,
    splits_to_read,
)
from expand.data.readers.entries import Entries
from expand.data.readers.rows import ListRow, read_rows
from expand.data.readers.text import numbered_classes
from expand.data.readers.videos import is_video_name
from expand.system.errors import UserError

_NAMES: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "validation"),
    "test": ("test",),
}
_NUMBER = re.compile(r"(\d+)(?:\.0+)?")
_NONE = re.compile(r"-1(?:\.0+)?")  # the label of videos without one


class Lists:
    """Reads lists with one label a line; rows.py describes the lines.

    `classes.txt`, beside the training list or in the data's folder, gives the names of classes in their
    order. Labels are these names, or their numbers: those before the names, or else counted from 0.
    """

    def recognises(self, folder: Path) -> bool:
        return _default(folder, "train") is not None or any(
            (path := _default(folder, split)) is not None and _lists_videos(path, folder)
            for split in ("val", "test")
        )

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        files = list_files(config, splits)
        rows = {split: split_rows(files, split, config) for split in files.paths}
        read = _by_split_column(rows, files)
        names = Names.of(files.classes, [row.label for rows in read.rows.values() for row in rows])
        videos: dict[SplitName, tuple[ListedVideo, ...]] = {}
        out = [*read.left_out]
        for split in splits_to_read(read.rows, splits, config):
            gathered = _Gathered(split, names)
            for row in read.rows[split]:
                gathered.add(row, read.keys[split][row.at])
            videos[split] = tuple(gathered.videos.values())
            out += gathered.left_out()
        return Listed(
            name=data_name(files.root),
            root=files.root,
            splits=videos,
            origins={split: str(read.origins[split]) for split in videos},
            classes=names.order,
            left_out=tuple(out),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ListFiles:
    """The files of a data set's lists.

    Attributes:
        paths: the list of each split that is to be read and has one.
        root: the folder of the videos.
        classes: the names of classes by their numbers; None without a classes.txt.
    """

    paths: dict[SplitName, Path]
    root: Path
    classes: dict[int, str] | None


def list_files(config: DataConfig, splits: Sequence[SplitName]) -> ListFiles:
    """Find the lists that the settings name, or that are in the data's folder or beside the training list.

    Raises:
        UserError: a named list does not exist, or there is no training list although training is requested.
    """
    given = {split: _given(getattr(config, split), config.path, split) for split in SPLITS}
    train = given["train"] or _default(config.path, "train")
    if train is None and "train" in splits:
        raise UserError(f"data.train must name a list, but {config.path} has no train.txt or train.csv.")
    beside = train.parent if train is not None else config.path
    paths: dict[SplitName, Path] = {} if train is None else {"train": train}
    for split in ("val", "test"):
        if (path := given[split] or _default(beside, split)) is not None:
            paths[split] = path
    if not paths:
        raise UserError(f"data.train must name a list, but {config.path} has no train.txt or train.csv.")
    first = next(iter(paths.values())).parent
    root = config.path or first
    candidates = (first / "classes.txt", root / "classes.txt")
    classes = next((path for path in candidates if path.is_file()), None)
    return ListFiles(
        paths={split: paths[split] for split in splits_to_read(paths, splits, config)},
        root=root,
        classes=None if classes is None else numbered_classes(classes),
    )


def _given(path: Path | None, folder: Path | None, split: SplitName) -> Path | None:
    """Return the list that the setting data.`split` names, as given or relative to the data's folder.

    Raises:
        UserError: the file does not exist.
    """
    if path is None:
        return None
    for candidate in (path, folder / path if folder else path):
        if candidate.is_file():
            return candidate
    raise UserError(f"data.{split} must name a list of videos, got {path}: no such file.")


def _default(folder: Path | None, split: SplitName) -> Path | None:
    """Return the first existing list of a split in a folder, by its usual names."""
    if folder is None:
        return None
    candidates = (folder / f"{name}{suffix}" for name in _NAMES[split] for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def _lists_videos(path: Path, folder: Path) -> bool:
    """Whether a file with an ambiguous name, such as test.txt, is a list of videos, by its first row."""
    try:
        rows = read_rows(path, Entries(folder).is_there).rows
    except UserError:
        return False
    return bool(rows) and is_video_name(rows[0].path)


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRows:
    """The rows of a list; `keys` has their videos by file:line, `pictures` those that are folders."""

    rows: tuple[ListRow, ...]
    keys: dict[str, str]
    left_out: tuple[LeftOut, ...]
    pictures: frozenset[str]


def split_rows(files: ListFiles, split: SplitName, config: DataConfig, *, several: bool = False) -> SplitRows:
    """Read the rows of a split's list.

    Args:
        files: the lists.
        split: the split.
        config: the data section of a configuration.
        several: whether a row may have several labels.

    Raises:
        UserError: a line cannot be read, or its path is not allowed.
    """
    path = files.paths[split]
    entries = Entries(files.root, beside=path.parent, allow_outside=config.allow_outside)
    read = read_rows(path, entries.is_there, several=several)
    keys = {row.at: entries.find(row.path, row.at) for row in read.rows}
    pictures = (key for key in {*keys.values()} if not is_video_name(key) and (files.root / key).is_dir())
    return SplitRows(rows=read.rows, keys=keys, left_out=read.left_out, pictures=frozenset(pictures))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """All rows by split; `keys` has each row's video and whether it is a folder, by file:line."""

    rows: dict[SplitName, list[ListRow]]
    keys: dict[SplitName, dict[str, tuple[str, bool]]]
    origins: dict[SplitName, Path]
    left_out: list[LeftOut]


def _by_split_column(read: Mapping[SplitName, SplitRows], files: ListFiles) -> _Read:
    """Move rows to the split in their table's split column; leave them out if that split has its own list."""
    split_named: dict[str, SplitName] = {
        **{name: split for split, names in _NAMES.items() for name in names},
        "valid": "val",
        "validate": "val",
        "training": "train",
        "testing": "test",
    }
    moved = _Read(
        rows={split: [] for split in read},
        keys={split: {} for split in read},
        origins=dict(files.paths),
        left_out=[],
    )
    for listed, list_ in read.items():
        moved.left_out.extend(list_.left_out)
        elsewhere = []
        for row in list_.rows:
            split = split_named.get(row.split, listed)
            if split != listed and split in files.paths:
                elsewhere.append(row.path)
                continue
            if split not in moved.rows:
                moved.rows[split], moved.keys[split] = [], {}
                moved.origins[split] = files.paths[listed]
            moved.rows[split].append(row)
            key = list_.keys[row.at]
            moved.keys[split][row.at] = (key, key in list_.pictures)
        moved.left_out.extend(
            left_out(f"rows of {files.paths[listed].name} that it puts into another split", elsewhere)
        )
    return moved


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Maps labels to the names of classes.

    Attributes:
        known: the names of classes by their numbers; None where labels are the names themselves.
        numbered: whether all labels are whole numbers.
        order: the names in their order; None for sorted by name.
    """

    known: dict[int, str] | None
    numbered: bool
    order: tuple[str, ...] | None

    @classmethod
    def of(cls, known: dict[int, str] | None, labels: Sequence[str]) -> Names:
        """Make the mapping for lists with these labels."""
        numbered = all(_NUMBER.fullmatch(label) for label in labels if not _NONE.fullmatch(label))
        order = None if known is None else tuple(known.values())
        if known is None and numbered:
            numbers = sorted({int(match[1]) for label in labels if (match := _NUMBER.fullmatch(label))})
            order = tuple(map(str, numbers))
        return cls(known=known, numbered=numbered, order=order)

    def is_none(self, label: str) -> bool:
        """Whether a label means that there is none: -1 among numbers."""
        return (self.numbered or self.known is not None) and _NONE.fullmatch(label) is not None

    def of_label(self, label: str, at: str) -> str:
        """Return the name of a label's class; `at` is file:line, for messages.

        Raises:
            UserError: classes.txt has no such class.
        """
        number = _NUMBER.fullmatch(label)
        if self.known is None:
            return str(int(number[1])) if number and self.numbered else label
        if label in self.known.values():
            return label
        if number and int(number[1]) in self.known:
            return self.known[int(number[1])]
        low, high = min(self.known, default=0), max(self.known, default=-1)
        count_from = "" if low else "; numbers that count from 1 need them before its names, as `1 run`"
        raise UserError(
            f"{at} must have a class of classes.txt or its number from {low} to {high}, got {label!r}: "
            f"correct the line or classes.txt{count_from}."
        )


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Collects the videos of a split while its rows are read; `lines` has the file:line of each by key."""

    split: SplitName
    names: Names
    videos: dict[str, ListedVideo] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)

    def add(self, row: ListRow, video: tuple[str, bool]) -> None:
        """Add a row's video, given as its key and whether it is a folder of pictures.

        Raises:
            UserError: the row has no label outside of training, an unknown one, or another than an earlier
                row of the same video.
        """
        file, pictures = video
        if self.names.is_none(row.label):
            if self.split != "train":
                raise UserError(f"{row.at} must have a label, got {row.label}: label it, or take it out.")
            self.unlabelled.append(row.path)
            return
        key = file if row.part is None else part_key(file, *row.part)
        label = self.names.of_label(row.label, row.at)
        if (known := self.videos.get(key)) is not None:
            if known.label != label:
                raise UserError(
                    f"{row.at} must give {key} the label that {self.lines[key]} gives it, {known.label!r}, "
                    f"got {label!r}: take one of them out, or set data.format: multi-label."
                )
            self.repeated.append(key)
            return
        cut = None if row.part is None else Cut(file=file, start=row.part[0], end=row.part[1])
        self.lines[key] = row.at
        self.videos[key] = ListedVideo(key=key, shows=(LabelSpan(label),), cut=cut, pictures=pictures)

    def left_out(self) -> list[LeftOut]:
        return [
            *left_out(f"rows of {self.split} that repeat another", self.repeated),
            *left_out(f"rows of {self.split} without a label, as -1 says", self.unlabelled),
        ]
