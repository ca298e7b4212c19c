"""What is a video by its name, and which videos lie in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in [
        *("mp4", "avi", "mkv", "webm", "mov", "m4v", "mpg", "mpeg", "wmv", "flv", "3gp", "ts", "ogv"),
        *("mts", "m2ts", "f4v", "vob", "gif"),
    ]
)
SUFFIX_NAMES = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
_PICTURE = re.compile(r".*\d\.(?:jpe?g|png)", re.IGNORECASE)  # one of a folder of numbered pictures


def is_video_name(name: str) -> bool:
    """Whether a file is called as videos are."""
    stem, dot, suffix = name.rpartition(".")  # a Path takes ten times as long, and lists are long
    return stem != "" and not stem.endswith("/") and f"{dot}{suffix.lower()}" in SUFFIXES


class Found(NamedTuple):
    """What lies below a folder.

    Attributes:
        files: videos, sorted.
        pictures: folders of numbered pictures that hold no videos, each of which is one, sorted.
        others: files that are neither.
    """

    files: list[Path]
    pictures: list[Path]
    others: list[Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    videos: Sequence[str]
    pictures: Sequence[str]
    others: Sequence[str]


def videos_below(folder: Path) -> Found:
    """The videos below a folder; a link to a folder is followed once, so loops end. Hidden files are none."""
    found = Found([], [], [])
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = _sorted_out(files)
        found.files.extend(Path(where, name) for name in names.videos)
        found.others.extend(Path(where, name) for name in names.others)
        if names.pictures and not names.videos and Path(where) != folder:
            found.pictures.append(Path(where))
            folders.clear()
        else:
            found.others.extend(Path(where, name) for name in names.pictures)
    for paths in found:
        paths.sort(key=lambda path: path.as_posix())
    return found


def _sorted_out(files: Sequence[str]) -> _Names:
    shown = [name for name in files if not name.startswith(".")]
    videos = [name for name in shown if is_video_name(name)]
    pictures = [name for name in shown if _PICTURE.fullmatch(name)]
    none = {*videos, *pictures}
    return _Names(videos=videos, pictures=pictures, others=[name for name in shown if name not in none])
