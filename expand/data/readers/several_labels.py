"""Reads lists with several labels a video, with or without the times of each label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import LabelSpan, LeftOut, Listed, ListedVideo, data_name, left_out
from expand.data.readers.lists import Names, SplitRows, list_files, split_rows
from expand.system.errors import UserError

_TIMED = re.compile(r"(.+?)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)")


class SeveralLabelLists:
    """Reads lines such as `a.mp4 run 0 2.5;jump 2 4.1;sunny`; a video may have several lines.

    Such lists cannot be recognised, so data.format must name this reader.
    """

    def recognises(self, folder: Path) -> bool:
        del folder
        return False

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        files = list_files(config, splits)
        rows = {split: split_rows(files, split, config, several=True) for split in files.paths}
        shows = {split: {row.at: shown(row.label, row.at) for row in rows[split].rows} for split in rows}
        labels = [one.label for lines in shows.values() for line in lines.values() for one in line]
        names = Names.of(files.classes, labels)
        videos: dict[SplitName, tuple[ListedVideo, ...]] = {}
        out: list[LeftOut] = []
        for split, listed in rows.items():
            videos[split], empty = _merged(listed, shows[split], names)
            out += [*listed.left_out, *left_out(f"labels of {split} that are none, as -1 says", empty)]
        return Listed(
            name=data_name(files.root),
            root=files.root,
            splits=videos,
            origins={split: str(path) for split, path in files.paths.items()},
            classes=names.order,
            several=True,
            left_out=tuple(out),
        )


def shown(labels: str, at: str) -> tuple[LabelSpan, ...]:
    """Parse `label;label`, where start and end in seconds may follow a label.

    Raises:
        UserError: a label ends before it starts; the message has `at`, the file:line.
    """
    segments = []
    for part in labels.split(";"):
        label = part.strip()
        if not label:
            continue
        timed = _TIMED.fullmatch(label)
        one = LabelSpan(timed[1], float(timed[2]), float(timed[3])) if timed else LabelSpan(label)
        if one.end < one.start:
            raise UserError(f"{at} must have labels that end after they start, got {label!r}: correct it.")
        segments.append(one)
    return tuple(segments)


def _merged(
    listed: SplitRows, shows: dict[str, tuple[LabelSpan, ...]], names: Names
) -> tuple[tuple[ListedVideo, ...], list[str]]:
    """Merge the rows of each file into one video; also return the paths of rows with the label -1."""
    videos: dict[str, list[LabelSpan]] = {}
    none = []
    for row in listed.rows:
        own = videos.setdefault(listed.keys[row.at], [])
        for one in shows[row.at]:
            if names.is_none(one.label):
                none.append(row.path)
            else:
                own.append(one._replace(label=names.of_label(one.label, row.at)))
    merged = (
        ListedVideo(key=key, shows=tuple(own), pictures=key in listed.pictures) for key, own in videos.items()
    )
    return tuple(merged), none
