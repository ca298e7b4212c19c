"""Reads Charades by the tables of Charades.zip: several labels a video, each with its times.

    Charades_v1_classes.txt    c092 Walking through a doorway
    Charades_v1_train.csv      id,…,actions,…        AB12C,…,c092 11.9 21.2;c147 0 12.6,…
    Charades_v1_test.csv
    Charades_v1_480/AB12C.mp4

Source: https://prior.allenai.org/projects/charades
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import LabelSpan, Listed, ListedVideo, data_name, needed_path, splits_to_read
from expand.data.readers.entries import Entries
from expand.data.readers.several_labels import shown
from expand.data.readers.text import lines_of, read_text
from expand.system.errors import UserError

_CLASS = re.compile(r"(c\d{3})\s+(\S.*)")
_VIDEOS = ("Charades_v1_480", "Charades_v1", "videos")


class Charades:
    """Reads the training table as `train` and the test table as `test`."""

    def recognises(self, folder: Path) -> bool:
        return _lists(folder) is not None

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        lists = _lists(root)
        if lists is None:
            raise UserError(
                f"Charades must have its own tables, but {root} has no Charades_v1_train.csv: "
                "unpack Charades.zip there."
            )
        codes = _classes(lists / "Charades_v1_classes.txt")
        folder = _videos(lists, root).relative_to(root)
        entries = Entries(root, allow_outside=config.allow_outside)
        paths: dict[SplitName, Path] = {
            split: lists / f"Charades_v1_{split}.csv" for split in ("train", "test")
        }
        return Listed(
            name=data_name(root),
            root=root,
            splits={
                split: tuple(
                    ListedVideo(key=entries.key(str(folder / f"{video}.mp4"), at), shows=shows)
                    for video, shows, at in _table(paths[split], codes)
                )
                for split in splits_to_read(paths, splits, config)
            },
            origins=dict.fromkeys(paths, str(lists)),
            classes=tuple(codes.values()),
            several=True,
        )


def _lists(root: Path) -> Path | None:
    """Return the folder of Charades' tables; None where there are none."""
    folders = (root, root / "Charades")
    return next((folder for folder in folders if (folder / "Charades_v1_train.csv").is_file()), None)


def _classes(path: Path) -> dict[str, str]:
    """Read the names of the classes by their codes, such as c092."""
    classes = {}
    for number, line in lines_of(path):
        match = _CLASS.fullmatch(line)
        if not match:
            raise UserError(
                f"{path}:{number} must be a code and a class such as `c000 Holding some clothes`, "
                f"got {line!r}."
            )
        classes[match[1]] = match[2]
    return classes


def _videos(lists: Path, root: Path) -> Path:
    """Return the folder of the videos."""
    folders = [lists / name for name in _VIDEOS] + [root / name for name in _VIDEOS]
    return next((folder for folder in folders if folder.is_dir()), root)


def _table(path: Path, classes: dict[str, str]) -> Iterator[tuple[str, tuple[LabelSpan, ...], str]]:
    """Yield (video's id, its labels, file:line) for each row; a video may have no labels."""
    table = csv.DictReader(io.StringIO(read_text(path)))
    if not {"id", "actions"} <= set(table.fieldnames or ()):
        raise UserError(f"{path} must be a table with the columns id and actions, but it is not.")
    for row in _rows(table, path):
        at = f"{path}:{table.line_num}"
        named = []
        for one in shown(row["actions"] or "", at):
            if one.label not in classes:
                raise UserError(f"{at} must have classes of Charades_v1_classes.txt, got {one.label!r}.")
            named.append(one._replace(label=classes[one.label]))
        if not row["id"]:
            raise UserError(f"{at} must have a video's id, got nothing: correct the line.")
        yield row["id"], tuple(named), at


def _rows(table: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from table
    except csv.Error as error:
        raise UserError(f"{path} must be a table, but line {table.line_num + 1} is none: {error}.") from None
