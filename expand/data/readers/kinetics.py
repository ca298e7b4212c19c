"""Reads Kinetics (400, 600, 700) by its own tables; videos that were not downloaded are left out.

    train.csv                                            label,youtube_id,time_start,time_end,split
    kinetics_val.csv, annotations/kinetics-400_test.csv  archery,-2Fjs9-XQe0,3,13,validate
    train/archery/-2Fjs9-XQe0_000003_000013.mp4

A video may be anywhere below the data's folder, as `ID_000003_000013.mp4` or as `ID.mp4`. Either file is used
whole.

Source: https://github.com/cvdfoundation/kinetics-dataset
"""

from __future__ import annotations

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
from expand.data.readers.tables import Header, header_of, part_of
from expand.data.readers.text import lines_of
from expand.data.readers.videos import videos_below
from expand.system.errors import UserError

_COLUMNS = {"label", "youtube_id", "time_start", "time_end"}
_ENDINGS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train.csv",),
    "val": ("val.csv", "validate.csv", "validation.csv"),
    "test": ("test.csv",),
}
_FOLDERS = ("", "annotations")


class Kinetics:
    """Reads the tables; one without labels, as some releases have for the test, is ignored."""

    def recognises(self, folder: Path) -> bool:
        return bool(_tables(folder))

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        tables = _tables(root)
        if not tables or ("train" in splits and "train" not in tables):
            raise UserError(
                f"Kinetics must have its own tables, but {root} has no train.csv with the columns label, "
                "youtube_id, time_start and time_end: put it there."
            )
        files: dict[str, str] = {}
        for path in videos_below(root).files:
            files.setdefault(path.stem, path.relative_to(root).as_posix())
        videos: dict[SplitName, tuple[ListedVideo, ...]] = {}
        out: list[LeftOut] = []
        for split in splits_to_read(tables, splits, config):
            videos[split], without = _videos(tables[split], files)
            out += without
        return Listed(
            name=data_name(root),
            root=root,
            splits=videos,
            origins={split: str(tables[split]) for split in videos},
            left_out=tuple(out),
        )


def _tables(root: Path) -> dict[SplitName, Path]:
    """Return the table of each split that has one with labels."""
    tables: dict[SplitName, Path] = {}
    for folder in _FOLDERS:
        for split, endings in _ENDINGS.items():
            paths = [path for ending in endings for path in sorted((root / folder).glob(f"*{ending}"))]
            for path in paths:
                header = _header(path)
                if header is not None and {name.lower() for name in header.names} >= _COLUMNS:
                    tables.setdefault(split, path)
    return tables


def _header(path: Path) -> Header | None:
    number, line = next(lines_of(path), (0, ""))
    return header_of(line, f"{path}:{number}") if line else None


def _videos(table: Path, files: dict[str, str]) -> tuple[tuple[ListedVideo, ...], list[LeftOut]]:
    """Return the existing videos of a table, and the rows that are left out."""
    header = _header(table)
    assert header is not None
    videos: dict[str, ListedVideo] = {}
    missing, repeated = [], []
    for number, line in list(lines_of(table))[1:]:
        at = f"{table}:{number}"
        cells = dict(zip((name.lower() for name in header.names), header.cells(line, at), strict=True))
        part = part_of(cells["time_start"], cells["time_end"], at)
        if part is None or not cells["label"] or not cells["youtube_id"]:
            raise UserError(
                f"{at} must have a label, a youtube_id and times, got {line!r}: correct the line."
            )
        start, end = part
        name = f"{cells['youtube_id']}_{int(start):06d}_{int(end):06d}"
        key = files.get(name) or files.get(cells["youtube_id"])
        if key is None:
            missing.append(name)
        elif key in videos:
            repeated.append(name)
        else:
            videos[key] = ListedVideo(key=key, shows=(LabelSpan(cells["label"]),))
    return tuple(videos.values()), [
        *left_out(f"videos of {table.name} that are not there", missing),
        *left_out(f"rows of {table.name} whose video an earlier row has", repeated),
    ]
