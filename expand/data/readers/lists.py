"""Lists of labelled videos: train.txt, val.txt and test.txt, or files that the settings name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expand.config.search import DataConfig
from expand.data.base import SPLITS, Cut, SplitName
from expand.data.readers.base import (
    LeftOut,
    Listed,
    ListedVideo,
    Shown,
    data_name,
    left_out,
    part_key,
    splits_to_read,
)
from expand.data.readers.entries import Entries
from expand.data.readers.rows import Row, read_rows
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
    """Lists with one label a line; see rows.py for what lines may be.

    `classes.txt`, beside the training list or in the data's folder, gives the names of classes in their
    order. Labels are these names, or their numbers: those before the names, or else from 0.
    """

    def found(self, folder: Path) -> bool:
        return _default(folder, "train") is not None or any(
            (path := _default(folder, split)) is not None and _lists_videos(path, folder)
            for split in ("val", "test")
        )

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        files = list_files(config, splits)
        rows = {split: split_rows(files, split, config) for split in files.paths}
        read = _by_table(rows, files)
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
    """The lists of a data set.

    Attributes:
        paths: of each split that has one, of those to be read.
        root: the folder of the videos.
        classes: their names by their numbers; None: there is no classes.txt.
    """

    paths: dict[SplitName, Path]
    root: Path
    classes: dict[int, str] | None


def list_files(config: DataConfig, splits: Sequence[SplitName]) -> ListFiles:
    """The lists that the settings name, or that lie in the data's folder or beside the training list.

    Raises:
        UserError: one is named that is not there, or there is none to train on where that is asked for.
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
    places = (path for path in (first / "classes.txt", root / "classes.txt") if path.is_file())
    classes = next(places, None)
    return ListFiles(
        paths={split: paths[split] for split in splits_to_read(paths, splits, config)},
        root=root,
        classes=None if classes is None else numbered_classes(classes),
    )


def _given(path: Path | None, folder: Path | None, split: SplitName) -> Path | None:
    """A list that the setting data.`split` names, as it stands or within the data's folder."""
    if path is None:
        return None
    for place in (path, folder / path if folder else path):
        if place.is_file():
            return place
    raise UserError(f"data.{split} must name a list of videos, got {path}: no such file.")


def _default(folder: Path | None, split: SplitName) -> Path | None:
    """The first list of a split in a folder."""
    if folder is None:
        return None
    places = (folder / f"{name}{suffix}" for name in _NAMES[split] for suffix in (".txt", ".csv"))
    return next((place for place in places if place.is_file()), None)


def _lists_videos(path: Path, folder: Path) -> bool:
    """Whether a file whose name does not say so by itself, such as test.txt, is a list."""
    try:
        rows = read_rows(path, Entries(folder).is_there).rows
    except UserError:
        return False
    return bool(rows) and is_video_name(rows[0].path)


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRows:
    """The rows of a list, with the keys of their videos."""

    rows: tuple[Row, ...]
    keys: dict[str, str]
    left_out: tuple[LeftOut, ...]
    pictures: frozenset[str]


def split_rows(files: ListFiles, split: SplitName, config: DataConfig, *, several: bool = False) -> SplitRows:
    """The rows of the list of a split.

    Raises:
        UserError: a line cannot be read, or leads nowhere.
    """
    path = files.paths[split]
    entries = Entries(files.root, beside=path.parent, allow_outside=config.allow_outside)
    found = read_rows(path, entries.is_there, several=several)
    keys = {row.at: entries.find(row.path, row.at) for row in found.rows}
    pictures = (key for key in {*keys.values()} if not is_video_name(key) and (files.root / key).is_dir())
    return SplitRows(rows=found.rows, keys=keys, left_out=found.left_out, pictures=frozenset(pictures))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """All rows by their split, with each one's video, and whether that is a folder of pictures."""

    rows: dict[SplitName, list[Row]]
    keys: dict[SplitName, dict[str, tuple[str, bool]]]
    origins: dict[SplitName, Path]
    left_out: list[LeftOut]


def _by_table(read: Mapping[SplitName, SplitRows], files: ListFiles) -> _Read:
    """Rows in the split that their table says, where that has no list of its own: else they are left out."""
    said: dict[str, SplitName] = {
        **{name: split for split, names in _NAMES.items() for name in names},
        "valid": "val",
        "validate": "val",
        "training": "train",
        "testing": "test",
    }
    found = _Read(
        rows={split: [] for split in read},
        keys={split: {} for split in read},
        origins=dict(files.paths),
        left_out=[],
    )
    for listed, list_ in read.items():
        found.left_out.extend(list_.left_out)
        elsewhere = []
        for row in list_.rows:
            split = said.get(row.split, listed)
            if split != listed and split in files.paths:
                elsewhere.append(row.path)
                continue
            if split not in found.rows:
                found.rows[split], found.keys[split] = [], {}
                found.origins[split] = files.paths[listed]
            found.rows[split].append(row)
            key = list_.keys[row.at]
            found.keys[split][row.at] = (key, key in list_.pictures)
        found.left_out.extend(
            left_out(f"rows of {files.paths[listed].name} that it puts into another split", elsewhere)
        )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Labels as the names of classes.

    Attributes:
        known: the names by their numbers; None: labels are names.
        numbered: whether all labels are whole numbers.
        order: the names in their order; None: as `known` does not give one, sorted.
    """

    known: dict[int, str] | None
    numbered: bool
    order: tuple[str, ...] | None

    @classmethod
    def of(cls, known: dict[int, str] | None, labels: Sequence[str]) -> Names:
        """Of lists with these labels."""
        numbered = all(_NUMBER.fullmatch(label) for label in labels if not _NONE.fullmatch(label))
        order = None if known is None else tuple(known.values())
        if known is None and numbered:
            numbers = sorted({int(match[1]) for label in labels if (match := _NUMBER.fullmatch(label))})
            order = tuple(map(str, numbers))
        return cls(known=known, numbered=numbered, order=order)

    def is_none(self, label: str) -> bool:
        """Whether a label says that there is none: -1 among numbers."""
        return (self.numbered or self.known is not None) and _NONE.fullmatch(label) is not None

    def of_label(self, label: str, at: str) -> str:
        """The name of a class; `at` is file:line.

        Raises:
            UserError: there is no such class.
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
    """The videos of a split as its rows are read."""

    split: SplitName
    names: Names
    videos: dict[str, ListedVideo] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)

    def add(self, row: Row, found: tuple[str, bool]) -> None:
        file, pictures = found
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
                    f"{row.at} must give {key} the label that {self.places[key]} gives it, {known.label!r}, "
                    f"got {label!r}: take one of them out, or set data.format: multi-label."
                )
            self.repeated.append(key)
            return
        cut = None if row.part is None else Cut(file=file, start=row.part[0], end=row.part[1])
        self.places[key] = row.at
        self.videos[key] = ListedVideo(key=key, shows=(Shown(label),), cut=cut, pictures=pictures)

    def left_out(self) -> list[LeftOut]:
        return [
            *left_out(f"rows of {self.split} that repeat another", self.repeated),
            *left_out(f"rows of {self.split} without a label, as -1 says", self.unlabelled),
        ]
