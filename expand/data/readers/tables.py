"""Tables with a header: which column is what, and times as tables write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from expand.data.readers.text import cells_of
from expand.data.readers.videos import is_video_name
from expand.system.errors import UserError

Column = Literal["path", "label", "start", "end", "split"]

# What columns are called, the surest name first; small letters, with _ for blanks and -.
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
        names: of its columns.
        delimiter: of its cells; a blank stands for any number of them.
        places: of the columns that are known.
    """

    names: tuple[str, ...]
    delimiter: str
    places: dict[Column, int]

    @property
    def is_plain(self) -> bool:
        """Whether it is `path,label` alone, so that lines say no more than those of lists do."""
        return len(self.names) == 2 and self.places == {"path": 0, "label": 1}

    def cells(self, line: str, at: str) -> list[str]:
        """The cells of a line; `at` is file:line.

        Raises:
            UserError: it has more or fewer.
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
        """What a line says in a column; nothing where the table does not have it."""
        place = self.places.get(column)
        return "" if place is None else cells[place]


def header_of(line: str, at: str) -> Header | None:
    """What a list's first line is, if it names columns; None: it is a row."""
    delimiter = next((one for one in ("\t", ";", ",") if one in line), " ")
    names = tuple(line.split() if delimiter == " " else cells_of(line, delimiter, at))
    if any(is_video_name(name) for name in names):
        return None
    known = [re.sub(r"[\s-]+", "_", name.lower()) for name in names]
    places: dict[Column, int] = {}
    for column, called in COLUMNS.items():
        place = next((known.index(name) for name in called if name in known), None)
        if place is not None:
            places[column] = place
    if len(names) == 2 and known[1] == "label":
        places.setdefault("path", 0)
    if not {"path", "label"} <= places.keys():
        return None
    return Header(names=names, delimiter=delimiter, places=places)


def part_of(start: str, end: str, at: str) -> tuple[float, float] | None:
    """From when to when a part of a video is, in seconds; None: nothing is said of it.

    Raises:
        UserError: it is no time, or ends before it starts.
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
    """A time in seconds; None: it is none."""
    return float(text) if _SECONDS.fullmatch(text) else None


def _time(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    return plain_seconds(text)
