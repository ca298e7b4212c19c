"""Resolves the entries of lists to videos in the data's folder, or outside of it where the user allows that.

An entry is checked by its text, after `a/../b` has become `b`. Links within the data's folder are followed,
even if they lead outside, as the owner of the folder made them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from expand.data.readers.videos import is_video_name
from expand.system.errors import UserError


class Entries:
    """Turns the entries of a list into the keys of videos.

        entries = Entries(Path("/data"), allow_outside=False)
        entries.key("walk/a.mp4", "train.txt:1")          # walk/a.mp4
        entries.key("/data/walk/a.mp4", "train.txt:2")    # walk/a.mp4
        entries.key("../a.mp4", "train.txt:3")            # UserError
        entries.key("/elsewhere/a.mp4", "train.txt:4")    # UserError, unless allow_outside

    Args:
        root: the data's folder, which keys are relative to; keys of videos elsewhere are absolute.
        beside: the list's folder; entries that are not in the data's folder may be relative to this one.
        allow_outside: whether absolute entries may lead outside of the data's folder.
    """

    def __init__(self, root: Path, *, beside: Path | None = None, allow_outside: bool = False) -> None:
        self._root, self._allowed = root, allow_outside
        self._whole = os.path.normpath(root.absolute())
        self._names = (self._whole, str(root.resolve()))  # the root may be a link
        self._name = Path(self._whole).name
        self._names_in: dict[Path, dict[str, list[str]]] = {}
        self._stems_in: dict[Path, dict[str, list[str]]] = {}
        self._bases = dict.fromkeys([self._whole, os.path.normpath((beside or root).absolute())])

    def key(self, entry: str, at: str) -> str:
        """Return the key of an entry's video, whether or not it exists; `at` is file:line, for messages.

        Raises:
            UserError: the entry is empty, or leads outside of the data's folder without permission.
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

    def find(self, entry: str, at: str) -> str:
        r"""Return the key of an entry's video as `key` does, but allow for inexact names of existing videos.

        If it exists, `walk/a.mp4` is also found as `walk\a.mp4`; as `walk/a`, if the suffix is unambiguous;
        as `/walk/a.mp4` and as `data/walk/a.mp4` in the folder `data`; and under names whose accents have
        another Unicode normalisation.

        Raises:
            UserError: as for `key`, or a name without suffix fits several videos.
        """
        entry = self._corrected(entry)
        key = self.key(entry, at)
        if key.isascii() and is_video_name(key):
            return key  # not looked for here, as that takes long for large lists
        if _exists(self._root / key):
            return key
        similar = self._similar(key)
        if len(similar) > 1:
            raise UserError(
                f"{at} must name one video, but {entry!r} may be any of {', '.join(similar)}: write its "
                "suffix."
            )
        return similar[0] if similar else key

    def is_there(self, entry: str) -> bool:
        """Whether `find` gives an existing video or folder for an entry."""
        try:
            return bool(entry) and _exists(self._root / self.find(entry, ""))
        except UserError:
            return False

    def _corrected(self, entry: str) -> str:
        """Replace backslashes, and drop a leading `/` or name of the data's folder, if a file exists then."""
        if "\\" in entry and not _exists(self._root / entry):
            entry = entry.replace("\\", "/")
        first, _, rest = entry.removeprefix("./").partition("/")
        if rest and first in ("", self._name) and not _exists(self._root / entry):
            inside = rest.lstrip("/")
            if _exists(self._root / inside):
                return inside
        return entry

    def _similar(self, key: str) -> list[str]:
        """Return keys of existing files whose names differ by suffix or Unicode normalisation only."""
        folder = Path(self._whole)
        if key.startswith("/"):
            return []
        *above, name = key.split("/")
        for part in above:
            names = self._listed(folder).get(normalize("NFC", part), [])
            if not names:
                return []
            folder /= part if part in names else names[0]
        name = normalize("NFC", name)
        same = self._listed(folder).get(name, [])
        longer = [one for one in self._stems(folder).get(name, []) if is_video_name(one)]
        before = os.path.relpath(folder, self._whole)
        return [os.path.normpath(f"{before}/{one}") for one in same or longer]

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by their NFC normalisation."""
        if folder not in self._names_in:
            by_name: dict[str, list[str]] = {}
            for name in _names(folder):
                by_name.setdefault(normalize("NFC", name), []).append(name)
            self._names_in[folder] = by_name
        return self._names_in[folder]

    def _stems(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by their NFC normalisation without suffix."""
        if folder not in self._stems_in:
            by_stem: dict[str, list[str]] = {}
            for name in _names(folder):
                by_stem.setdefault(normalize("NFC", Path(name).stem), []).append(name)
            self._stems_in[folder] = by_stem
        return self._stems_in[folder]

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
        """Yield the keys that an entry may mean: relative to the data's folder, then to the list's folder."""
        for base in self._bases:
            path = os.path.normpath(f"{base}/{entry}")
            if (key := _within(path, self._whole)) is not None:
                yield key
            elif _within(path, base) is not None:
                yield path


def _within(path: str, folder: str) -> str | None:
    """Return a path relative to a folder; None where it is not in the folder."""
    before = folder.rstrip("/") + "/"
    return path.removeprefix(before) if path.startswith(before) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no valid file name, such as one that is too long
        return False


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
