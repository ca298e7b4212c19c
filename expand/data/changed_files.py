"""Detects changed videos: by content hashes across runs, by size and modification time within one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from expand.data.base import SPLITS, Item, Source
from expand.system.errors import UserError
from expand.system.files import read_json, write_json

_FILE = "videos.json"  # in a cache: the first `_BYTES` of each video's SHA-256, by its key
_BYTES = 8
_NAMED = 3  # the most videos that a message names

FileState = tuple[int, int, int] | None  # size in bytes, modification time in ns, inode; None: no such file


@runtime_checkable
class OfFiles(Protocol):
    """A source whose videos are files, which may change while they are used."""

    def path(self, item: Item) -> Path: ...

    def digests(self) -> list[bytes]:
        """Return the SHA-256 of each video's bytes, in the order train, val, test."""
        ...

    def checksum(self, digests: Sequence[bytes] | None = None) -> str:
        """See `Source.checksum`; `digests` are those of `digests()`, if known already."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Hashes and file stamps of a source's videos at the time when they were read.

    Attributes:
        source: the videos.
        checksum: the source's checksum.
        videos: shortened SHA-256 of each video, by key; empty for a source whose videos are not files.
        stamps: size, modification time and inode of each video, by key; empty likewise.
    """

    source: Source
    checksum: str
    videos: Mapping[str, str]
    stamps: Mapping[str, FileState]

    @property
    def readable(self) -> dict[str, str]:
        """The shortened SHA-256 of each video that exists, by key."""
        return {key: digest for key, digest in self.videos.items() if self.stamps[key] is not None}

    @classmethod
    def read(cls, source: Source) -> Contents:
        """Hash all videos of a source."""
        if not isinstance(source, OfFiles):
            return cls(source=source, checksum=source.checksum(), videos={}, stamps={})
        stamps = _stamps(source)  # before hashing, so that changes during it are noticed
        digests = source.digests()
        videos = {
            item.key: digest[:_BYTES].hex() for item, digest in zip(_items(source), digests, strict=True)
        }
        return cls(source=source, checksum=source.checksum(digests), videos=videos, stamps=stamps)

    def note(self, cache: Path) -> None:
        """Write the videos' hashes into a cache, for `check` of later runs."""
        if self.videos:
            write_json(cache / _FILE, self.videos, then="start again")

    @classmethod
    def noted(cls, cache: Path) -> dict[str, str]:
        """Return the videos' hashes that `note` has written into a cache; none where it has not."""
        return read_json(cache / _FILE) or {}

    def written_since(self) -> list[str]:
        """Return the keys of videos whose files have changed since they were read."""
        if not isinstance(self.source, OfFiles):
            return []
        now = _stamps(self.source)
        return [key for key, stamp in self.stamps.items() if now[key] != stamp]

    def check(self, wanted: str, caches: Iterable[Path]) -> None:
        """Check that the videos have the checksum `wanted`.

        Args:
            wanted: the checksum when the run was started.
            caches: caches of those videos, which may hold their hashes, to name the videos that changed.

        Raises:
            UserError: the videos have another checksum.
        """
        if self.checksum == wanted:
            return
        noted = next((values for cache in caches if (values := read_json(cache / _FILE)) is not None), None)
        changes = [] if noted is None else [*_differences(noted, self)]
        what = "; ".join(changes) or f"their checksum is {self.checksum[:12]} and was {wanted[:12]}"
        raise UserError(
            f"the videos of {self.source.name} must be as when the run was started, but {what}: put them "
            "back, or start another run."
        )


def named(videos: Sequence[str]) -> str:
    """Name the first few videos, and say how many more there are."""
    rest = len(videos) - _NAMED
    return ", ".join(videos[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _differences(was: Mapping[str, str], now: Contents) -> Iterator[str]:
    other = [key for key in was if now.videos.get(key) != was[key]]
    keys_by_change = {
        "changed": [key for key in other if now.stamps.get(key) is not None],
        "missing": [key for key in other if now.stamps.get(key) is None],
        "new": [key for key in now.videos if key not in was],
    }
    yield from (f"{named(keys)}: {change}" for change, keys in keys_by_change.items() if keys)


def _items(source: Source) -> Iterator[Item]:
    return (item for split in SPLITS for item in source.splits[split])


def _stamps(source: Source) -> dict[str, FileState]:
    assert isinstance(source, OfFiles)
    return {item.key: _stamp(source.path(item)) for item in _items(source)}


def _stamp(path: Path) -> FileState:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
