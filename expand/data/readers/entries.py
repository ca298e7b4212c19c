"""Where the entries of lists lead: to videos in the data's folder, or elsewhere where the user allows it.

An entry is judged by its text, after `a/../b` has become `b`. Links within the data's folder are followed, as
in folders of class folders: whoever made the folder made them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from expand.errors import UserError


class Entries:
    """Turns the entries of a list into the keys of videos.

        entries = Entries(Path("/data"), allow_outside=False)
        entries.key("walk/a.mp4", "train.txt:1")          # walk/a.mp4
        entries.key("/data/walk/a.mp4", "train.txt:2")    # walk/a.mp4
        entries.key("../a.mp4", "train.txt:3")            # UserError
        entries.key("/elsewhere/a.mp4", "train.txt:4")    # UserError, unless allow_outside

    Args:
        root: the data's folder, which keys are relative to; keys of videos elsewhere are absolute.
        beside: the list's folder: an entry may be relative to it too, where the data's folder lacks it.
        allow_outside: whether absolute entries may lead anywhere.
    """

    def __init__(self, root: Path, *, beside: Path | None = None, allow_outside: bool = False) -> None:
        self._root, self._allowed = root, allow_outside
        self._whole = os.path.normpath(root.absolute())
        self._names = (self._whole, str(root.resolve()))  # it may be a link to another folder
        self._bases = dict.fromkeys([self._whole, os.path.normpath((beside or root).absolute())])

    def key(self, entry: str, at: str) -> str:
        """The key of the video that an entry leads to, whether or not it is there; `at` is file:line.

        Raises:
            UserError: it leads outside, or nowhere.
        """
        if not entry or "\0" in entry:
            raise UserError(f"{at} must name a video, got {entry!r}: correct the line.")
        if entry.startswith("/"):
            return self._absolute(entry, at)
        keys = list(self._relative(entry))
        if not keys:
            raise UserError(
                f"{at} must name a video in {self._root}, but {entry!r} leads outside: write it as an "
                "absolute path and give --allow-outside, or take it out."
            )
        if len(keys) == 1:
            return keys[0]
        return next((key for key in keys if _exists(self._root / key)), keys[0])

    def _absolute(self, entry: str, at: str) -> str:
        path = os.path.normpath("/" + entry.lstrip("/"))
        for root in self._names:
            if (key := _within(path, root)) is not None:
                return key
        if self._allowed:
            return path
        raise UserError(
            f"{at} must name a video in {self._root}, but {entry!r} is outside: give --allow-outside "
            "(data.allow_outside: true), or take it out."
        )

    def _relative(self, entry: str) -> Iterator[str]:
        """What it may mean: relative to the data's folder, then to the list's."""
        for base in self._bases:
            path = os.path.normpath(f"{base}/{entry}")
            if (key := _within(path, self._whole)) is not None:
                yield key
            elif _within(path, base) is not None:
                yield path


def _within(path: str, folder: str) -> str | None:
    """A path relative to a folder that it is in; None: it is not."""
    before = folder.rstrip("/") + "/"
    return path.removeprefix(before) if path.startswith(before) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False
