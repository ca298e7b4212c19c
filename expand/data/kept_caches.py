"""Lists the caches of decoded videos in a folder, and deletes those that are not needed any more."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock

from expand.data.cache_reader import INDEX, read_index
from expand.system.errors import UserError

_NAME = re.compile(r"[0-9a-f]{20}")  # of a cache's folder, see `cache.py`


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCache:
    """A cache on the disk.

    Attributes:
        folder: where it lies.
        data: the name of the data set; None: the cache is unfinished or damaged.
        videos: how many it has.
        frames: what it keeps of each, such as `short side 40, 30 fps, raw`.
        bytes: what it takes.
        made: the day on which it was finished, such as 2026-11-30; an unfinished one: when it was begun.
    """

    folder: Path
    data: str | None
    videos: int
    frames: str
    bytes: int
    made: str


def kept_caches(root: Path) -> list[KeptCache]:
    """The caches in a folder of caches, the largest first; other files in it are left out."""
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(map(_read, folders), key=lambda one: (-one.bytes, one.folder.name))


def named_caches(caches: Sequence[KeptCache], names: Sequence[str]) -> list[KeptCache]:
    """The caches of data sets with these names, or whose folders have them.

    Raises:
        UserError: there is none of a name.
    """
    for name in names:
        if not any(name in (one.data, one.folder.name) for one in caches):
            known = ", ".join(dict.fromkeys(one.data or one.folder.name for one in caches)) or "none"
            raise UserError(f"--clear must name data or a folder of a cache ({known}), got {name}.")
    return [one for one in caches if one.data in names or one.folder.name in names]


def delete_cache(cache: KeptCache) -> None:
    """Delete a cache. Runs that have it open keep it until they end; those that open it later build it again.

    Raises:
        UserError: a run is building it.
    """
    lock = filelock.FileLock(cache.folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"{cache.folder} must not be in use, but a run builds it: wait, or end that run."
        ) from None
    try:
        (cache.folder / INDEX).unlink(missing_ok=True)  # first, so that what is cut off is no cache
        shutil.rmtree(cache.folder)
    finally:
        lock.release()
    cache.folder.with_suffix(".lock").unlink(missing_ok=True)


def _read(folder: Path) -> KeptCache:
    files = [path for path in folder.iterdir() if path.is_file()]
    index = read_index(folder)
    needs = {} if index is None else index["needs"]
    begun = (folder / INDEX if index is not None else folder).stat().st_mtime
    return KeptCache(
        folder=folder,
        data=None if index is None else index["name"],
        videos=0 if index is None else index["videos"],
        frames="unfinished"
        if index is None
        else f"short side {needs['short_side']}, {needs['fps']:g} fps, {index['storage']}",
        bytes=sum(path.stat().st_size for path in files),
        made=datetime.fromtimestamp(begun, tz=UTC).date().isoformat(),
    )
