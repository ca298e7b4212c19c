"""The Source of labelled videos in files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from expand.data import video
from expand.data.base import SPLITS, BadVideo, Decoded, Item, Moments, SplitName, VideoInfo
from expand.data.labels import Segment

_HASH_BLOCK = 1 << 20
_HASH_CHUNK = 32  # files that a thread hashes at once, as handing over a small file costs more than hashing


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """Videos in files; a file's key is its path relative to `root`, or absolute outside of it.

    Attributes:
        segments: the labelled segments of each video by key, for data with several labels a video, where
            items' labels are all 0; None where each video has the one label of its item.
        frames_fps: the frame rate of videos that are folders of pictures; None where it is not known.
        notes: remarks for the user on how the lists were read, a line each.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    splits: dict[SplitName, tuple[Item, ...]]
    segments: Mapping[str, tuple[Segment, ...]] | None = None
    frames_fps: float | None = None
    notes: tuple[str, ...] = ()

    def only(self, splits: Sequence[SplitName]) -> FileSource:
        """See `Source.only`."""
        chosen = {split: items if split in splits else () for split, items in self.splits.items()}
        return replace(self, splits=chosen)

    def path(self, item: Item) -> Path:
        return self.root / item.file

    def checksum(self, digests: Sequence[bytes] | None = None) -> str:
        """See `Source.checksum`; `digests` are those of `digests()`, if known already."""
        listed = {
            split: [_listed(item) for item in items] for split in SPLITS if (items := self.splits.get(split))
        }
        total = hashlib.sha256(json.dumps([self.classes, listed]).encode())
        if self.segments is not None:
            shown = {
                item.key: [astuple(segment) for segment in self.segments[item.key]] for item in self._items()
            }
            total.update(json.dumps(shown, sort_keys=True).encode())
        if self.frames_fps is not None:
            total.update(json.dumps({"frames_fps": self.frames_fps}).encode())
        for digest in self.digests() if digests is None else digests:
            total.update(digest)
        return total.hexdigest()

    def digests(self) -> list[bytes]:
        """Return the SHA-256 of each item's file, in the order train, val, test.

        A file that cannot be read gets a hash of the error.
        """
        files = list(dict.fromkeys(item.file for item in self._items()))
        chunks = [
            [self.root / file for file in files[at : at + _HASH_CHUNK]]
            for at in range(0, len(files), _HASH_CHUNK)
        ]
        with ThreadPoolExecutor(max_workers=8) as threads:
            hashed = [digest for digests in threads.map(_digests, chunks) for digest in digests]
        by_file = dict(zip(files, hashed, strict=True))
        return [by_file[item.file] for item in self._items()]

    def probe(self, item: Item) -> VideoInfo:
        """Read a video's properties from its header, without decoding.

        Raises:
            BadVideo: the header cannot be read.
        """
        info = video.probe(self.path(item), fps=self.frames_fps)
        if item.cut is None:
            return info
        seconds = item.cut.end - item.cut.start
        return replace(info, seconds=seconds, frames=max(1, round(seconds * info.fps)))

    def inspect(self, item: Item) -> VideoInfo:
        return video.inspect(self.path(item), item.cut, fps=self.frames_fps)

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        """See `Source.read`."""
        cuts = [item.cut for item in items]
        return video.read(self.path(items[0]), cuts, moments, short_side=short_side, fps=self.frames_fps)

    def _items(self) -> Iterator[Item]:
        return (item for split in SPLITS for item in self.splits.get(split, ()))


def _listed(item: Item) -> tuple[object, ...]:
    """Return all that a video's frames and label depend on, except the bytes of its file."""
    return (item.key, item.label) if item.cut is None else (item.key, item.label, *astuple(item.cut))


def _digests(paths: Sequence[Path]) -> list[bytes]:
    return [_digest(path) for path in paths]


def _digest(path: Path) -> bytes:
    """Return the SHA-256 of a file's bytes, or of the names and bytes of a folder of pictures."""
    total = hashlib.sha256()
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            for picture in sorted(path.iterdir()):
                total.update(os.fsencode(picture.name) + b"\0")
                _add(total, picture)
        else:
            _add(total, path)
    except OSError as error:
        return hashlib.sha256(f"{BadVideo('missing').reason} {error.errno}".encode()).digest()
    return total.digest()


def _add(total: hashlib._Hash, path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe or a device may never end
        raise OSError(errno.ENXIO, "no file")
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            total.update(block)
