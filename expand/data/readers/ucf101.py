"""Reads UCF101 by the split files of UCF101TrainTestSplits-RecognitionTask.zip.

    ucfTrainTestlist/classInd.txt       1 ApplyEyeMakeup
    ucfTrainTestlist/trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
    ucfTrainTestlist/testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
    UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

Source: https://www.crcv.ucf.edu/data/UCF101.php
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

_LISTS: dict[SplitName, str] = {"train": "trainlist", "test": "testlist"}


class Ucf101:
    """Reads one of the three official splits, by `data.official_split`, as `train` and `test`."""

    def recognises(self, folder: Path) -> bool:
        return _lists(folder) is not None

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        lists = _lists(root)
        if lists is None:
            raise UserError(
                f"UCF101 must have its split files, but {root} has no ucfTrainTestlist/classInd.txt: "
                "unpack UCF101TrainTestSplits-RecognitionTask.zip there."
            )
        classes = _classes(lists / "classInd.txt")
        folders = [root / name for name in ("UCF-101", "UCF101", "videos") if (root / name).is_dir()]
        videos = (folders[0] if folders else root).relative_to(root)
        paths = {split: lists / f"{stem}0{config.official_split}.txt" for split, stem in _LISTS.items()}
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
        )


def _lists(root: Path) -> Path | None:
    folders = (root / "ucfTrainTestlist", root)
    return next((folder for folder in folders if (folder / "classInd.txt").is_file()), None)


def _classes(path: Path) -> tuple[str, ...]:
    named = [line.split() for _, line in lines_of(path)]
    if not all(len(fields) == 2 and fields[0].isdecimal() for fields in named):
        raise UserError(f"{path} must have a number and a class a line, such as `1 ApplyEyeMakeup`.")
    return tuple(name for _, name in sorted(named, key=lambda fields: int(fields[0])))


def _videos(path: Path, classes: Sequence[str], videos: Path, entries: Entries) -> Iterator[ListedVideo]:
    for number, line in lines_of(path):
        file = line.split()[0]
        label = file.partition("/")[0]
        if label not in classes:
            raise UserError(f"{path}:{number} must start with a class of classInd.txt, got {line!r}.")
        yield ListedVideo(key=entries.key(str(videos / file), f"{path}:{number}"), shows=(LabelSpan(label),))
