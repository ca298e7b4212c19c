"""Recognises videos by their names, and finds the videos below a folder."""

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
_PICTURE = re.compile(r".*\d\.(?:jpe?g|png)", re.IGNORECASE)  # a frame of a folder of pictures


def is_video_name(name: str) -> bool:
    """Whether a file name has the suffix of a video."""
    stem, dot, suffix = name.rpartition(".")  # ten times as fast as a Path, for long lists
    return stem != "" and not stem.endswith("/") and f"{dot}{suffix.lower()}" in SUFFIXES


class VideosBelow(NamedTuple):
    """The videos below a folder, each list sorted.

    Attributes:
        files: video files.
        pictures: folders of numbered pictures without video files, each of which is a video.
        others: all other files.
    """

    files: list[Path]
    pictures: list[Path]
    others: list[Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    videos: Sequence[str]
    pictures: Sequence[str]
    others: Sequence[str]


def videos_below(folder: Path) -> VideosBelow:
    """Find the videos below a folder, without hidden files; links are followed once, so that loops end."""
    below = VideosBelow([], [], [])
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = _classified(files)
        below.files.extend(Path(where, name) for name in names.videos)
        below.others.extend(Path(where, name) for name in names.others)
        if names.pictures and not names.videos and Path(where) != folder:
            below.pictures.append(Path(where))
            folders.clear()
        else:
            below.others.extend(Path(where, name) for name in names.pictures)
    for paths in below:
        paths.sort(key=lambda path: path.as_posix())
    return below


def _classified(files: Sequence[str]) -> _Names:
    shown = [name for name in files if not name.startswith(".")]
    videos = [name for name in shown if is_video_name(name)]
    pictures = [name for name in shown if _PICTURE.fullmatch(name)]
    known = {*videos, *pictures}
    return _Names(videos=videos, pictures=pictures, others=[name for name in shown if name not in known])
