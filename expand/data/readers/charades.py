"""Videos with several labels each: lists of them, and the files of Charades."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from expand.data.lists import read_list, read_text
from expand.errors import UserError

Shown = tuple[str, float, float]  # a class by its name, from when to when it is seen, in seconds

_TIMED = re.compile(r"(.+?)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)")
_CLASS = re.compile(r"(c\d{3})\s+(\S.*)")
_ALWAYS = float("inf")
_VIDEOS = ("Charades_v1_480", "Charades_v1", "videos")


def read_several(path: Path) -> Iterator[tuple[str, tuple[Shown, ...], str]]:
    """(video, what it shows, file:line) of each line of a list such as `a.mp4 run 0 2.5;jump 2 4.1;sunny`.

    Raises:
        UserError: a label ends before it starts.
    """
    for video, labels, at in read_list(path):
        yield video, shown(labels, at), at


def shown(labels: str, at: str) -> tuple[Shown, ...]:
    """What `label;label` says, each with its times in seconds after it or without any.

    Raises:
        UserError: a label ends before it starts; `at` says where.
    """
    found = []
    for part in labels.split(";"):
        label = part.strip()
        if not label:
            continue
        timed = _TIMED.fullmatch(label)
        name, start, end = (timed[1], float(timed[2]), float(timed[3])) if timed else (label, 0.0, _ALWAYS)
        if end < start:
            raise UserError(f"{at} must have labels that end after they start, got {label!r}: correct it.")
        found.append((name, start, end))
    return tuple(found)


def charades_lists(root: Path) -> Path | None:
    """The folder of Charades' own files."""
    folders = (root, root / "Charades")
    return next((folder for folder in folders if (folder / "Charades_v1_train.csv").is_file()), None)


def charades_classes(lists: Path) -> dict[str, str]:
    """The names of the classes by their codes, such as c092.

    Raises:
        UserError: the file is not there, or a line is none of it.
    """
    path = lists / "Charades_v1_classes.txt"
    classes = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = _CLASS.fullmatch(line.strip())
        if not match:
            raise UserError(
                f"{path}:{number} must be a code and a class such as `c000 Holding some clothes`, "
                f"got {line.strip()!r}."
            )
        classes[match[1]] = match[2]
    return classes


def charades_videos(lists: Path, root: Path) -> Path:
    """The folder of the videos."""
    places = [lists / name for name in _VIDEOS] + [root / name for name in _VIDEOS]
    return next((place for place in places if place.is_dir()), root)


def read_charades(path: Path, classes: dict[str, str]) -> Iterator[tuple[str, tuple[Shown, ...], str]]:
    """(the video's id, what it shows, file:line) of a table of Charades; a video may show nothing.

    Raises:
        UserError: it is no such table, names an unknown class, or a video has no id.
    """
    table = csv.DictReader(io.StringIO(read_text(path)))
    if not {"id", "actions"} <= set(table.fieldnames or ()):
        raise UserError(f"{path} must be a table with the columns id and actions, but it is not.")
    for row in _rows(table, path):
        at = f"{path}:{table.line_num}"
        named = []
        for code, start, end in shown(row["actions"] or "", at):
            if code not in classes:
                raise UserError(f"{at} must have classes of Charades_v1_classes.txt, got {code!r}.")
            named.append((classes[code], start, end))
        if not row["id"]:
            raise UserError(f"{at} must have a video's id, got nothing: correct the line.")
        yield row["id"], tuple(named), at


def _rows(table: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from table
    except csv.Error as error:
        raise UserError(f"{path} must be a table, but line {table.line_num + 1} is none: {error}.") from None
