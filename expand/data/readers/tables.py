"""Parses tables with a header: recognises the columns by their names, and reads times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from expand.data.readers.text import cells_of
from expand.data.readers.videos import is_video_name
from expand.system.errors import UserError

Column = Literal["path", "label", "start", "end", "split"]

# Names of each column, the least ambiguous first; in lower case, with _ for blanks and hyphens.
COLUMNS: dict[Column, tuple[str, ...]] = {
    "path": (
        *("path", "video_path", "file_path", "filepath", "clip_path", "video", "video_name", "file"),
        *("filename", "file_name", "clip", "clip_name", "youtube_id", "video_id", "name", "id"),
    ),
    "label": (
        *("label", "class", "tag", "action", "category", "target", "label_name", "class_name", "classname"),
        *("action_label", "labels", "class_label", "label_id", "class_id"),
    ),
    "start": (
        *("start", "time_start", "start_time", "t_start", "start_seconds", "start_sec", "begin"),
        "start_timestamp",
    ),
    "end": (
        *("end", "time_end", "end_time", "t_end", "end_seconds", "end_sec", "stop", "stop_timestamp"),
        "end_timestamp",
    ),
    "split": ("split", "subset"),
}
_SECONDS = re.compile(r"\d+(?:\.\d+)?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")  # 00:01:02.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The first line of a table.

    Attributes:
        names: names of the columns.
        delimiter: delimiter of the cells; a blank stands for any number of blanks.
        indices: index of each recognised column.
    """

    names: tuple[str, ...]
    delimiter: str
    indices: dict[Column, int]

    @property
    def is_plain(self) -> bool:
        """Whether the header is just `path,label`, so that lines are those of a list without header."""
        return len(self.names) == 2 and self.indices == {"path": 0, "label": 1}

    def cells(self, line: str, at: str) -> list[str]:
        """Split a line into its cells; `at` is file:line, for messages.

        Raises:
            UserError: the line has more or fewer cells than the header.
        """
        cells = line.split() if self.delimiter == " " else cells_of(line, self.delimiter, at)
        while len(cells) > len(self.names) and not cells[-1]:
            cells.pop()
        if len(cells) != len(self.names):
            raise UserError(
                f"{at} must have the {len(self.names)} columns of its first line, got {len(cells)}: correct "
                f"it, or quote what has a {self.delimiter!r} in it."
            )
        return cells

    def value(self, column: Column, cells: Sequence[str]) -> str:
        """Return the cell of a column, or an empty text where the table has no such column."""
        index = self.indices.get(column)
        return "" if index is None else cells[index]


def header_of(line: str, at: str) -> Header | None:
    """Parse a list's first line as a header; None where it is a row."""
    delimiter = next((one for one in ("\t", ";", ",") if one in line), " ")
    names = tuple(line.split() if delimiter == " " else cells_of(line, delimiter, at))
    if any(is_video_name(name) for name in names):
        return None
    known = [re.sub(r"[\s-]+", "_", name.lower()) for name in names]
    indices: dict[Column, int] = {}
    for column, aliases in COLUMNS.items():
        index = next((known.index(name) for name in aliases if name in known), None)
        if index is not None:
            indices[column] = index
    if len(names) == 2 and known[1] == "label":
        indices.setdefault("path", 0)
    if not {"path", "label"} <= indices.keys():
        return None
    return Header(names=names, delimiter=delimiter, indices=indices)


def part_of(start: str, end: str, at: str) -> tuple[float, float] | None:
    """Parse the start and end of a part of a video, in seconds; None where both are empty.

    Raises:
        UserError: a text is not a time, or the end is not after the start.
    """
    if not start and not end:
        return None
    times = (_time(start or "0"), _time(end))
    if times[0] is None or times[1] is None or not times[0] < times[1]:
        raise UserError(
            f"{at} must have a start and a later end, in seconds or as 00:01:02.5, got {start!r} and "
            f"{end!r}: correct the line."
        )
    return times[0], times[1]


def plain_seconds(text: str) -> float | None:
    """Parse a plain number of seconds; None for any other text."""
    return float(text) if _SECONDS.fullmatch(text) else None


def _time(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    return plain_seconds(text)
