"""Reads Jester by its own lists; its videos are folders of pictures, 12 a second.

    jester-v1-labels.csv         Doing other things
    jester-v1-train.csv          34870;Drumming Fingers
    jester-v1-validation.csv
    20bn-jester-v1/34870/00001.jpg

The test list has no labels, so there is no `test`.

Source: https://www.qualcomm.com/developer/software/jester-dataset; 12 frames a second by its paper
(Materzynska et al., ICCV Workshops 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import LabelSpan, Listed, ListedVideo, data_name, needed_path, splits_to_read
from expand.data.readers.entries import Entries
from expand.data.readers.text import lines_of
from expand.system.errors import UserError

_FPS = 12.0
_VIDEOS = ("20bn-jester-v1", "videos")
_PREFIXES = ("jester-v1-", "labels/jester-v1-", "labels/")
_LISTS: dict[SplitName, str] = {"train": "train", "val": "validation"}


class Jester:
    """Reads the lists, with the classes in the order of jester-v1-labels.csv."""

    def recognises(self, folder: Path) -> bool:
        return _prefix(folder) is not None

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        prefix = _prefix(root)
        if prefix is None:
            raise UserError(
                f"Jester must have its own lists, but {root} has no jester-v1-train.csv beside "
                "jester-v1-labels.csv: put them there."
            )
        classes = tuple(line for _, line in lines_of(root / f"{prefix}labels.csv"))
        videos = next((name for name in _VIDEOS if (root / name).is_dir()), "")
        paths = {split: root / f"{prefix}{name}.csv" for split, name in _LISTS.items()}
        entries = Entries(root, allow_outside=config.allow_outside)
        return Listed(
            name=data_name(root),
            root=root,
            splits={
                split: tuple(_videos(paths[split], classes, videos, entries))
                for split in splits_to_read(paths, splits, config)
            },
            origins={split: str(path) for split, path in paths.items()},
            classes=classes,
            frames_fps=_FPS,
        )


def _prefix(root: Path) -> str | None:
    """Return the prefix of the lists' names; None where the lists are missing."""
    return next(
        (
            prefix
            for prefix in _PREFIXES
            if all((root / f"{prefix}{name}.csv").is_file() for name in ("labels", "train"))
        ),
        None,
    )


def _videos(path: Path, classes: Sequence[str], videos: str, entries: Entries) -> Iterator[ListedVideo]:
    known = set(classes)
    for number, line in lines_of(path):
        video, _, label = (part.strip() for part in line.partition(";"))
        if not video or label not in known:
            raise UserError(
                f"{path}:{number} must be a number and a class of the labels, such as "
                f"`34870;Drumming Fingers`, got {line!r}."
            )
        key = entries.key(str(Path(videos, video)), f"{path}:{number}")
        yield ListedVideo(key=key, shows=(LabelSpan(label),), pictures=True)
