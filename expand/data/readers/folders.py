"""Reads class folders, with or without folders of the splits above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import (
    LabelSpan,
    LeftOut,
    Listed,
    ListedVideo,
    data_name,
    left_out,
    needed_path,
    splits_to_read,
)
from expand.data.readers.videos import is_video_name, videos_below
from expand.system.errors import UserError

_SPLITS: dict[str, SplitName] = {"train": "train", "val": "val", "validation": "val", "test": "test"}


class Folders:
    """Reads `walk/a.mp4`, or `train/walk/a.mp4` beside `val/` (or `validation/`) and `test/`.

    Videos may be anywhere below a class's folder. A folder with numbered pictures and no videos is itself a
    video. Other files are counted.
    """

    def recognises(self, folder: Path) -> bool:
        return folder.is_dir()

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        folders = _split_folders(root)
        if "train" in splits and "train" not in folders:
            raise UserError(
                f"{root} must have a train folder beside its {' and '.join(sorted(folders))}, but it has "
                "none: add one."
            )
        videos: dict[SplitName, tuple[ListedVideo, ...]] = {}
        out: list[LeftOut] = []
        for split in splits_to_read(folders, splits, config):
            labelled, others = _class_folders(folders[split], root)
            if not labelled:
                _check_flat(folders[split], others)
            videos[split] = tuple(labelled)
            out += _left_out(folders[split], others, root)
        return Listed(
            name=data_name(root),
            root=root,
            splits=videos,
            origins={split: str(folders[split] if len(folders) > 1 else root) for split in videos},
            left_out=tuple(out),
        )


def _split_folders(root: Path) -> dict[SplitName, Path]:
    """Return the folder of each split; where there are none, all class folders are for training."""
    inside = _entries(root)
    folders: dict[SplitName, Path] = {}
    for name, split in _SPLITS.items():
        if name in inside:
            folders.setdefault(split, inside[name])
    if len(folders) > 1 and "train" in folders:
        return folders
    if folders and inside.keys() <= _SPLITS.keys():
        return folders
    return {"train": root}


def _entries(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}


def _class_folders(folder: Path, root: Path) -> tuple[list[ListedVideo], list[Path]]:
    """Return the videos in class folders, and files that are not videos or are outside of class folders."""
    videos: list[ListedVideo] = []
    others: list[Path] = []
    for name, subfolder in sorted(_entries(folder).items()):
        below = videos_below(subfolder)
        pictures = set(below.pictures)
        for path in sorted({*below.files, *pictures}, key=lambda path: path.as_posix()):
            key = path.relative_to(root).as_posix()
            _check_text(key, root)
            videos.append(ListedVideo(key=key, shows=(LabelSpan(name),), pictures=path in pictures))
        others += below.others
    stray = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return videos, [*others, *sorted(path for path in stray if is_video_name(path.name))]


def _left_out(folder: Path, others: Sequence[Path], root: Path) -> list[LeftOut]:
    shown = [path.relative_to(root).as_posix() for path in others if path.parent != folder]
    stray = [path.relative_to(root).as_posix() for path in others if path.parent == folder]
    kinds = Counter(Path(name).suffix or "none" for name in shown)
    named = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(5))
    return [
        *left_out(f"files whose suffix is no video's, {named}", shown),
        *left_out("videos beside the class folders", stray),
    ]


def _check_flat(folder: Path, others: Sequence[Path]) -> None:
    """Check that a folder without class folders has no videos.

    Raises:
        UserError: the folder has videos, but no class folders.
    """
    stray = [path for path in others if path.parent == folder]
    if stray:
        above = _folder_of_classes(folder)
        hint = (
            "" if above is None else f"if {folder.name} is a class, name the folder above it ({above}); else "
        )
        raise UserError(
            f"videos must lie in a folder of their class, but {len(stray):,} lie beside each other in "
            f"{folder}, such as {stray[0].name}: {hint}move them into class folders, or write a list of them "
            "(train.txt)."
        )


def _folder_of_classes(folder: Path) -> Path | None:
    """Return the folder of the data if `folder` is that of one class, beside others; None where it is not."""
    above = folder.parent if folder.name else folder.absolute().parent
    beside = (path for path in _entries(above).values() if path.resolve() != folder.resolve())
    if not any(is_video_name(path.name) for other in beside for path in other.iterdir()):
        return None
    return above.parent if above.name in _SPLITS else above


def _check_text(key: str, root: Path) -> None:
    """Check that a file's name is valid UTF-8.

    Raises:
        UserError: the name is not valid UTF-8.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in key):
        raise UserError(
            f"the names of folders and videos must be UTF-8, but in {root} there is {key!r}: rename it."
        )
