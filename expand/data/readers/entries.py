"""Where the entries of lists lead: to videos in the data's folder, or elsewhere where the user allows it.

An entry is judged by its text, after `a/../b` has become `b`. Links within the data's folder are followed, as
in folders of class folders: whoever made the folder made them.
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
        beside: the list's folder: an entry may be relative to it too, where the data's folder lacks it.
        allow_outside: whether absolute entries may lead anywhere.
    """

    def __init__(self, root: Path, *, beside: Path | None = None, allow_outside: bool = False) -> None:
        self._root, self._allowed = root, allow_outside
        self._whole = os.path.normpath(root.absolute())
        self._names = (self._whole, str(root.resolve()))  # it may be a link to another folder
        self._name = Path(self._whole).name
        self._names_in: dict[Path, dict[str, list[str]]] = {}
        self._stems_in: dict[Path, dict[str, list[str]]] = {}
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

    def find(self, entry: str, at: str) -> str:
        r"""The same, but of the video that is meant where an entry is not quite its name.

        As the video lies there, these are all `walk/a.mp4`: `walk\a.mp4`; `walk/a`, where no other video is
        called so; `/walk/a.mp4` and `data/walk/a.mp4` for the folder `data`; and names whose accents are
        written in another way.

        Raises:
            UserError: as above, or a name without its suffix fits several videos.
        """
        entry = self._meant(entry)
        key = self.key(entry, at)
        if key.isascii() and is_video_name(key):
            return key  # whether it is there is found out later: looking takes long in a large list
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
        """Whether a video or a folder in the data's folder is called so, as `find` looks for it."""
        try:
            return bool(entry) and _exists(self._root / self.find(entry, ""))
        except UserError:
            return False

    def _meant(self, entry: str) -> str:
        if "\\" in entry and not _exists(self._root / entry):
            entry = entry.replace("\\", "/")
        first, _, rest = entry.removeprefix("./").partition("/")
        if rest and first in ("", self._name) and not _exists(self._root / entry):
            inside = rest.lstrip("/")
            if _exists(self._root / inside):
                return inside
        return entry

    def _similar(self, key: str) -> list[str]:
        """Keys of what is there and is called so, but for its suffix and how accents are written."""
        folder = Path(self._whole)
        if key.startswith("/"):
            return []
        *above, name = key.split("/")
        for part in above:
            found = self._listed(folder).get(normalize("NFC", part), [])
            if not found:
                return []
            folder /= part if part in found else found[0]
        name = normalize("NFC", name)
        same = self._listed(folder).get(name, [])
        longer = [one for one in self._stems(folder).get(name, []) if is_video_name(one)]
        before = os.path.relpath(folder, self._whole)
        return [os.path.normpath(f"{before}/{one}") for one in same or longer]

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """The names of what is in a folder, by how they are written in one way."""
        if folder not in self._names_in:
            found: dict[str, list[str]] = {}
            for name in _names(folder):
                found.setdefault(normalize("NFC", name), []).append(name)
            self._names_in[folder] = found
        return self._names_in[folder]

    def _stems(self, folder: Path) -> dict[str, list[str]]:
        """The same by the names without their suffixes."""
        if folder not in self._stems_in:
            found: dict[str, list[str]] = {}
            for name in _names(folder):
                found.setdefault(normalize("NFC", Path(name).stem), []).append(name)
            self._stems_in[folder] = found
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


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
