"""Labelled videos on disk: lists, folders of class folders, and UCF101's split files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from expand.config import DataConfig
from expand.data.annotations import (
    Shown,
    charades_classes,
    charades_lists,
    charades_videos,
    read_charades,
    read_several,
)
from expand.data.base import SEARCHED as SPLITS
from expand.data.base import Item, Source, SplitName
from expand.data.entries import Entries
from expand.data.file_source import FileSource
from expand.data.labels import Segment
from expand.data.lists import SUFFIXES, class_names, default_list, list_path, read_list, read_text
from expand.errors import UserError
from expand.names import visible_line

_VALIDATION = ("val", "validation", "test")


def open_source(config: DataConfig) -> Source:
    """The labelled videos that a configuration names.

    Raises:
        UserError: they are not there, or cannot be told apart into classes and splits.
    """
    source = _synthetic(config) if config.format == "synthetic" else _files(config)
    flip_swaps(config, source.classes)
    return source


def flip_swaps(config: DataConfig, classes: Sequence[str]) -> tuple[int, ...]:
    """For each class, the class that its mirror image belongs to.

    Raises:
        UserError: `data.flip_labels` names an unknown class, or a class twice.
    """
    swaps = list(range(len(classes)))
    for pair in config.flip_labels.items():
        for name in pair:
            if name not in classes:
                raise UserError(
                    f"data.flip_labels must name classes of the data, got {name!r}: "
                    f"known are {_some(classes)}."
                )
        one, other = (classes.index(name) for name in pair)
        if {swaps[one], swaps[other]} not in ({one, other}, {one}):
            raise UserError(
                f"data.flip_labels must pair each class with one other, got {pair[0]!r}: {pair[1]!r} besides "
                "another pair with one of them: take one of the two out."
            )
        swaps[one], swaps[other] = other, one
    return tuple(swaps)


def stratified_split(
    items: Iterable[tuple[str, str]], *, share: float, seed: int
) -> dict[SplitName, list[tuple[str, str]]]:
    """Splits (key, class) pairs by class; which key goes where depends on nothing but the keys and the seed.

    Every class keeps at least one video for training and, where it has two, one for validation.
    """
    by_class: dict[str, list[str]] = {}
    for key, label in items:
        by_class.setdefault(label, []).append(key)
    splits: dict[SplitName, list[tuple[str, str]]] = {"train": [], "val": []}
    for label, keys in sorted(by_class.items()):
        keys.sort(key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode()).digest())
        count = min(max(1, round(share * len(keys))), len(keys) - 1)
        splits["val"] += [(key, label) for key in sorted(keys[:count])]
        splits["train"] += [(key, label) for key in sorted(keys[count:])]
    return splits


def _synthetic(config: DataConfig) -> Source:
    from expand.data.synthetic import SyntheticSource

    return SyntheticSource(config=config.synthetic)


def _files(config: DataConfig) -> Source:
    if config.path is None and config.train is None:
        raise UserError(
            "data.path must name the folder of the videos, got nothing: set data.path, data.train (a list), "
            "or data.format: synthetic."
        )
    if config.path is not None and not config.path.is_dir():
        raise UserError(f"data.path must be a folder, got {config.path}: no such folder.")
    match _format(config):
        case "ucf101":
            return _ucf101(config)
        case "list":
            return _lists(config)
        case "multi-label":
            return _several(config)
        case "charades":
            return _charades(config)
        case _:
            return _folders(config)


def _format(config: DataConfig) -> str:
    if config.format != "auto":
        return config.format
    if config.path is not None and config.train is None and _ucf101_lists(config.path):
        return "ucf101"
    if config.path is not None and config.train is None and charades_lists(config.path):
        return "charades"
    if config.train is not None or default_list(config.path, ("train",)):
        return "list"
    return "folders"


def _source(
    name: str, root: Path, classes: Sequence[str], listed: dict[SplitName, list[tuple[str, str]]], origin: str
) -> FileSource:
    """Labels become indices; `classes` gives their order, and only those with training videos stay."""
    if not listed["train"]:
        raise UserError(
            f"the data must hold videos to train on, but {origin} has none: look for files that end in "
            f"{', '.join(sorted(suffix[1:] for suffix in SUFFIXES))}."
        )
    trained = {label for _, label in listed["train"]}
    for key, label in listed["val"]:
        _check_trained(label, key, trained)
    kept = tuple(name for name in classes if name in trained)
    if len(kept) < 2:
        raise UserError(
            f"the data must have at least 2 classes, but {origin} has 1 ({kept[0]}): "
            "check that each class has its own folder or label."
        )
    index = {name: label for label, name in enumerate(kept)}
    splits: dict[SplitName, tuple[Item, ...]] = {
        split: tuple(Item(key=key, label=index[label]) for key, label in listed[split]) for split in SPLITS
    }
    return FileSource(name=name, root=root, classes=kept, splits=splits)


def _folders(config: DataConfig) -> FileSource:
    root = _needed_path(config)
    given = _entries(root)
    train, val = given.get("train"), next((given[name] for name in _VALIDATION if name in given), None)
    if train is not None and val is not None:
        listed: dict[SplitName, list[tuple[str, str]]] = {
            "train": _class_folders(train, root),
            "val": _class_folders(val, root),
        }
    else:
        whole = train if train is not None and len(given) == 1 else root
        listed = stratified_split(_class_folders(whole, root), share=config.val_share, seed=config.split_seed)
    classes = sorted({label for split in SPLITS for _, label in listed[split]})
    return _source(_name(root), root, classes, listed, str(root))


def _class_folders(folder: Path, root: Path) -> list[tuple[str, str]]:
    found = [
        (path.relative_to(root).as_posix(), name)
        for name, subfolder in sorted(_entries(folder).items())
        for path in _videos(subfolder)
    ]
    for key, _ in found:
        if not key.isascii() and not _is_text(key):
            raise UserError(
                f"the names of folders and videos must be UTF-8, but in {root} there is {key!r}: rename it."
            )
    return found


def _is_text(name: str) -> bool:
    """Whether the bytes of a file's name could be read as UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _entries(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}


def _videos(folder: Path) -> list[Path]:
    """Video files below a folder, sorted; a link to a folder is followed once, so loops end."""
    found: list[Path] = []
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(where, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found, key=lambda path: path.as_posix())


def _lists(config: DataConfig) -> FileSource:
    train, val, root, names = _list_files(config)
    lines: dict[SplitName, list[tuple[str, str, str]]] = {
        "train": read_list(train),
        "val": read_list(val) if val else [],
    }
    numbered = all(label.isdecimal() for split in lines.values() for _, label, _ in split)

    def labelled(split: SplitName, origin: Path) -> list[tuple[str, str]]:
        entries = Entries(root, beside=origin.parent, allow_outside=config.allow_outside)
        return [
            (entries.key(path, at), _label(label, names, numbered, at)) for path, label, at in lines[split]
        ]

    listed: dict[SplitName, list[tuple[str, str]]] = {
        "train": labelled("train", train),
        "val": labelled("val", val or train),
    }
    if val is None:
        listed = stratified_split(listed["train"], share=config.val_share, seed=config.split_seed)
    found = {label for split in SPLITS for _, label in listed[split]}
    classes = names or sorted(found, key=lambda name: (int(name) if numbered else 0, name))
    return _source(_name(root), root, classes, listed, str(train))


def _list_files(config: DataConfig) -> tuple[Path, Path | None, Path, tuple[str, ...]]:
    """The lists of both splits, the folder of the videos, and the names of the classes."""
    train = list_path(config.train, config.path, "train") or default_list(config.path, ("train",))
    if train is None:
        raise UserError(f"data.train must name a list, but {config.path} has no train.txt or train.csv.")
    val = list_path(config.val, config.path, "val") or default_list(train.parent, _VALIDATION)
    root = config.path or train.parent
    names = class_names(
        next((p for p in (train.parent / "classes.txt", root / "classes.txt") if p.is_file()), None)
    )
    return train, val, root, names


def _several(config: DataConfig) -> FileSource:
    """Lists whose lines have several labels; a video may have several lines."""
    train, val, root, names = _list_files(config)
    lines = {"train": [*read_several(train)], "val": [*read_several(val)] if val else []}
    found = {name for split in lines.values() for _, labels, _ in split for name, _, _ in labels}
    numbered = all(name.isdecimal() for name in found)

    def merged(split: SplitName, origin: Path) -> dict[str, list[Shown]]:
        entries = Entries(root, beside=origin.parent, allow_outside=config.allow_outside)
        videos: dict[str, list[Shown]] = {}
        for path, labels, at in lines[split]:
            own = [(_label(name, names, numbered, at), start, end) for name, start, end in labels]
            videos.setdefault(entries.key(path, at), []).extend(own)
        return videos

    listed: dict[SplitName, dict[str, list[Shown]]] = {
        "train": merged("train", train),
        "val": merged("val", val or train),
    }
    if val is None:
        whole = listed["train"]
        parts = stratified_split([(key, "") for key in whole], share=config.val_share, seed=config.split_seed)
        listed = {split: {key: whole[key] for key, _ in parts[split]} for split in SPLITS}
    known = {name for videos in listed.values() for own in videos.values() for name, _, _ in own}
    classes = names or sorted(known, key=lambda name: (int(name) if numbered else 0, name))
    return _annotated(_name(root), root, classes, listed, str(train))


def _charades(config: DataConfig) -> FileSource:
    root = _needed_path(config)
    lists = charades_lists(root)
    if lists is None:
        raise UserError(
            f"Charades must have its own tables, but {root} has no Charades_v1_train.csv: "
            "unpack Charades.zip there."
        )
    codes = charades_classes(lists)
    folder = charades_videos(lists, root).relative_to(root)
    entries = Entries(root, allow_outside=config.allow_outside)

    def read(table: str) -> dict[str, list[Shown]]:
        rows = read_charades(lists / f"Charades_v1_{table}.csv", codes)
        return {entries.key(str(folder / f"{video}.mp4"), at): list(found) for video, found, at in rows}

    listed: dict[SplitName, dict[str, list[Shown]]] = {"train": read("train"), "val": read("test")}
    return _annotated(_name(root), root, tuple(codes.values()), listed, str(lists))


def _annotated(
    name: str,
    root: Path,
    classes: Sequence[str],
    listed: dict[SplitName, dict[str, list[Shown]]],
    origin: str,
) -> FileSource:
    """A source whose videos have several labels; of the classes, those with training videos stay."""
    trained = {label for found in listed["train"].values() for label, _, _ in found}
    for key, found in listed["val"].items():
        for label, _, _ in found:
            _check_trained(label, key, trained)
    kept = tuple(label for label in classes if label in trained)
    if not kept:
        raise UserError(f"the data must have labels to train on, but {origin} has none.")
    places = {label: place for place, label in enumerate(kept)}
    return FileSource(
        name=name,
        root=root,
        classes=kept,
        splits={split: tuple(Item(key=key, label=0) for key in listed[split]) for split in SPLITS},
        segments={
            key: tuple(Segment(label=places[label], start=start, end=end) for label, start, end in found)
            for split in SPLITS
            for key, found in listed[split].items()
        },
    )


def segments_of(source: Source) -> Mapping[str, tuple[Segment, ...]] | None:
    """What each video shows, by its key; None: every video has one label."""
    return source.segments if isinstance(source, FileSource) else None


def shown_labels(source: Source, item: Item) -> frozenset[int]:
    """The classes that a video shows."""
    segments = segments_of(source)
    return frozenset([item.label] if segments is None else (one.label for one in segments[item.key]))


def _check_trained(label: str, key: str, trained: set[str]) -> None:
    if label not in trained:
        raise UserError(
            f"every class in validation must be in training too, but {label!r} ({key}) is not: "
            "add training videos of it, or take it out of validation."
        )


def _label(label: str, names: tuple[str, ...], numbered: bool, at: str) -> str:
    if not names:
        return str(int(label)) if numbered else label
    if label in names:
        return label
    if label.isdecimal() and int(label) < len(names):
        return names[int(label)]
    raise UserError(
        f"{at} must have a class of classes.txt or its number below {len(names)}, got {label!r}: "
        "correct the line or classes.txt."
    )


def _ucf101_lists(root: Path) -> Path | None:
    folders = (root / "ucfTrainTestlist", root)
    return next((folder for folder in folders if (folder / "classInd.txt").is_file()), None)


def _ucf101(config: DataConfig) -> FileSource:
    root = _needed_path(config)
    lists = _ucf101_lists(root)
    if lists is None:
        raise UserError(
            f"UCF101 must have its split files, but {root} has no ucfTrainTestlist/classInd.txt: "
            "unpack UCF101TrainTestSplits-RecognitionTask.zip there."
        )
    numbered = lists / "classInd.txt"
    named = [line.split() for line in read_text(numbered).splitlines() if line.strip()]
    if not all(len(fields) == 2 and fields[0].isdecimal() for fields in named):
        raise UserError(f"{numbered} must have a number and a class a line, such as `1 ApplyEyeMakeup`.")
    classes = [name for _, name in sorted(named, key=lambda fields: int(fields[0]))]
    folders = [root / name for name in ("UCF-101", "UCF101", "videos") if (root / name).is_dir()]
    videos = (folders[0] if folders else root).relative_to(root)
    entries = Entries(root, allow_outside=config.allow_outside)
    listed: dict[SplitName, list[tuple[str, str]]] = {"train": [], "val": []}
    for split, stem in (("train", "trainlist"), ("val", "testlist")):
        path = lists / f"{stem}0{config.ucf101_split}.txt"
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            if not line.strip():
                continue
            file = line.split()[0]
            label = file.partition("/")[0]
            if label not in classes:
                raise UserError(
                    f"{path}:{number} must start with a class of classInd.txt, got {line.strip()!r}."
                )
            key = entries.key(str(videos / file), f"{path}:{number}")
            listed["train" if split == "train" else "val"].append((key, label))
    return _source(_name(root), root, classes, listed, str(lists))


def _needed_path(config: DataConfig) -> Path:
    if config.path is None:
        raise UserError(
            f"data.format {config.format} needs data.path, the folder of the videos, got nothing."
        )
    return config.path


def _name(root: Path) -> str:
    return visible_line(root.resolve().name)


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
