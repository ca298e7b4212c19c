"""Videos that are not what they were: told by their bytes between two runs, by their stamps within one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from expand.data.base import SPLITS, Item, Source
from expand.errors import UserError
from expand.files import read_json, write_json

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


def stamps(source: Source) -> dict[str, Stamp]:
    """What tells, without reading a video, whether it was written again; by its key."""
    if not isinstance(source, OfFiles):
        return {}
    return {item.key: _stamp(source.path(item)) for item in _items(source)}


def note_videos(cache: Path, source: Source, digests: Sequence[bytes]) -> None:
    """Leave in a cache what each of its videos was."""
    write_json(cache / _FILE, _by_key(source, digests), then="start again")


def check_videos(
    source: Source, digests: Sequence[bytes], *, checksum: str, wanted: str, caches: Sequence[Path]
) -> None:
    """Refuse videos that are not those with the checksum `wanted`.

    Args:
        source: of the videos.
        digests: what `OfFiles.digests` gave.
        checksum: what the videos have.
        wanted: what they must have.
        caches: where those that had it may be noted.

    Raises:
        UserError: they have another one; names the videos where that is known.
    """
    if checksum == wanted:
        return
    noted = next((found for cache in caches if (found := read_json(cache / _FILE)) is not None), None)
    how = [] if noted is None else [*_differences(noted, _by_key(source, digests), stamps(source))]
    told = "; ".join(how) or f"their checksum is {checksum[:12]} and was {wanted[:12]}"
    raise UserError(
        f"the videos of {source.name} must be as the run was started, but {told}: put them back, or start "
        "another run."
    )


def named(keys: Sequence[str]) -> str:
    """The first of these videos, and how many more there are."""
    rest = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _differences(was: Mapping[str, str], now: Mapping[str, str], there: Mapping[str, Stamp]) -> Iterator[str]:
    found = {
        "changed": [key for key in was if key in now and now[key] != was[key] and there.get(key) is not None],
        "missing": [key for key in was if now.get(key) != was[key] and there.get(key) is None],
        "new": [key for key in now if key not in was],
    }
    yield from (f"{named(keys)}: {what}" for what, keys in found.items() if keys)


def _items(source: Source) -> Iterator[Item]:
    return (item for split in SPLITS for item in source.splits[split])


def _by_key(source: Source, digests: Sequence[bytes]) -> dict[str, str]:
    return {item.key: digest[:_BYTES].hex() for item, digest in zip(_items(source), digests, strict=True)}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
