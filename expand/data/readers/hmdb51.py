"""Reads HMDB51 by the split files of test_train_splits.rar, with its videos unpacked by class.

    testTrainMulti_7030_splits/brush_hair_test_split1.txt    April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
    brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi

After a video's name, 1 stands for training, 2 for testing, and 0 for neither.

Source: https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import (
    LabelSpan,
    Listed,
    ListedVideo,
    data_name,
    left_out,
    needed_path,
    splits_to_read,
)
from expand.data.readers.entries import Entries
from expand.data.readers.text import lines_of
from expand.system.errors import UserError

_LISTS = ("testTrainMulti_7030_splits", "test_train_splits", "splits", "")
_VIDEOS = ("hmdb51_org", "hmdb51", "HMDB51", "videos")
_SPLITS: dict[str, SplitName | None] = {"0": None, "1": "train", "2": "test"}


class Hmdb51:
    """Reads one of the three official splits, by `data.official_split`, as `train` and `test`."""

    def recognises(self, folder: Path) -> bool:
        return bool(_lists(folder, 1))

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        lists = _lists(root, config.official_split)
        if not lists:
            raise UserError(
                f"HMDB51 must have its split files, but {root} has no testTrainMulti_7030_splits/"
                f"*_test_split{config.official_split}.txt: unpack test_train_splits.rar there."
            )
        videos = next((name for name in _VIDEOS if (root / name).is_dir()), "")
        entries = Entries(root, allow_outside=config.allow_outside)
        by_split: dict[SplitName, list[ListedVideo]] = {"train": [], "test": []}
        unused = []
        for label, path in lists.items():
            for number, line in lines_of(path):
                name, _, flag = line.rpartition(" ")
                if flag not in _SPLITS or not name.strip():
                    raise UserError(f"{path}:{number} must be a video and 0, 1 or 2, got {line!r}.")
                split = _SPLITS[flag]
                if split is None:
                    unused.append(f"{label}/{name.strip()}")
                    continue
                key = entries.find(str(Path(videos, label, name.strip())), f"{path}:{number}")
                by_split[split].append(ListedVideo(key=key, shows=(LabelSpan(label),)))
        folder = str(next(iter(lists.values())).parent)
        return Listed(
            name=data_name(root),
            root=root,
            splits={split: tuple(by_split[split]) for split in splits_to_read(by_split, splits, config)},
            origins={"train": folder, "test": folder},
            classes=tuple(lists),
            left_out=tuple(left_out(f"videos that split {config.official_split} does not use", unused)),
        )


def _lists(root: Path, split: int) -> dict[str, Path]:
    """Return the list of each class, in the order of their names."""
    ending = f"_test_split{split}.txt"
    for folder in _LISTS:
        if paths := sorted((root / folder).glob(f"*{ending}")):
            return {path.name.removesuffix(ending): path for path in paths}
    return {}
