"""Videos that are not what they were: told by their bytes between two runs, by their stamps within one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from expand.data.base import SPLITS, Item, Source
from expand.system.errors import UserError
from expand.system.files import read_json, write_json

_FILE = "videos.json"  # in a cache: the SHA-256 of each video, as far as it takes to tell two apart
_BYTES = 8
_NAMED = 3  # videos that a message names

Stamp = tuple[int, int, int] | None  # its bytes, when it was last written, which file; None: there is none


@runtime_checkable
class OfFiles(Protocol):
    """A source whose videos are files, which others may change."""

    def path(self, item: Item) -> Path: ...

    def digests(self) -> list[bytes]:
        """SHA-256 of each video's bytes, training first."""
        ...

    def checksum(self, digests: Sequence[bytes] | None = None) -> str:
        """See `Source.checksum`; `digests` where they are known already."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What the videos of a source were when they were read.

    Attributes:
        source: of the videos.
        checksum: over all of them.
        videos: the SHA-256 of each, shortened, by its key; none of a source whose videos are no files.
        stamps: what tells, without reading a video, whether it was written again, by its key.
    """

    source: Source
    checksum: str
    videos: Mapping[str, str]
    stamps: Mapping[str, Stamp]

    @property
    def readable(self) -> dict[str, str]:
        """Of the videos that are there, what tells their bytes apart, by their key."""
        return {key: digest for key, digest in self.videos.items() if self.stamps[key] is not None}

    @classmethod
    def read(cls, source: Source) -> Contents:
        """Read all videos."""
        if not isinstance(source, OfFiles):
            return cls(source=source, checksum=source.checksum(), videos={}, stamps={})
        stamps = _stamps(source)  # before, so that what is written meanwhile is found out
        digests = source.digests()
        videos = {
            item.key: digest[:_BYTES].hex() for item, digest in zip(_items(source), digests, strict=True)
        }
        return cls(source=source, checksum=source.checksum(digests), videos=videos, stamps=stamps)

    def note(self, cache: Path) -> None:
        """Leave in a cache what each of its videos was."""
        if self.videos:
            write_json(cache / _FILE, self.videos, then="start again")

    def written_since(self) -> list[str]:
        """The videos that are not the files that were read any more."""
        if not isinstance(self.source, OfFiles):
            return []
        now = _stamps(self.source)
        return [key for key, stamp in self.stamps.items() if now[key] != stamp]

    def check(self, wanted: str, caches: Iterable[Path]) -> None:
        """Refuse videos that are not those with the checksum `wanted`; `caches`: where those may be noted.

        Raises:
            UserError: they have another one; names the videos where that is known.
        """
        if self.checksum == wanted:
            return
        noted = next((found for cache in caches if (found := read_json(cache / _FILE)) is not None), None)
        how = [] if noted is None else [*_differences(noted, self)]
        told = "; ".join(how) or f"their checksum is {self.checksum[:12]} and was {wanted[:12]}"
        raise UserError(
            f"the videos of {self.source.name} must be as the run was started, but {told}: put them back, or "
            "start another run."
        )


def named(videos: Sequence[str]) -> str:
    """The first of these videos, and how many more there are."""
    rest = len(videos) - _NAMED
    return ", ".join(videos[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _differences(was: Mapping[str, str], now: Contents) -> Iterator[str]:
    other = [key for key in was if now.videos.get(key) != was[key]]
    found = {
        "changed": [key for key in other if now.stamps.get(key) is not None],
        "missing": [key for key in other if now.stamps.get(key) is None],
        "new": [key for key in now.videos if key not in was],
    }
    yield from (f"{named(keys)}: {what}" for what, keys in found.items() if keys)


def _items(source: Source) -> Iterator[Item]:
    return (item for split in SPLITS for item in source.splits[split])


def _stamps(source: Source) -> dict[str, Stamp]:
    assert isinstance(source, OfFiles)
    return {item.key: _stamp(source.path(item)) for item in _items(source)}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
