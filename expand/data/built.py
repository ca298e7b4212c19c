"""A built cache, as training reads it: memory-mapped, so all processes share its pages.

N frames kept of a video, T frames in a clip, V videos in a split, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from expand.data import shards
from expand.data.base import SPLITS, Frames, SplitName
from expand.data.shards import Bad, Kept, Storage
from expand.errors import RunFailed

INDEX = "index.json"
_KEYS = {"name", "classes", "checksum", "short_side", "fps", "storage", "estimate", "columns", "shards"}
_SHARD = re.compile(r"shard-\d{4,}\.bin")  # nothing that leads out of the cache's folder
_EPSILON = 1e-6

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheNeeds:
    """The largest short side in pixels and the highest frame rate that a run can ask for."""

    short_side: int
    fps: float

    def __post_init__(self) -> None:
        for name in ("short_side", "fps"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}.")


class CachedSplit:
    """A `Split` read from a cache. Pickles as the cache's folder, so processes share the pages."""

    def __init__(
        self, folder: Path, name: SplitName, fps: float, storage: Storage, entries: list[_Entry]
    ) -> None:
        self.name = name
        self._folder = folder
        self._fps = fps
        self._storage = storage
        self._entries = entries
        kept = [entry.kept for entry in entries]
        self._labels = _frozen(np.array([one.label for one in kept], np.int64))
        self._seconds = _frozen(np.array([one.seconds for one in kept], np.float64))
        self._sizes = _frozen(np.array([(one.height, one.width) for one in kept], np.int64).reshape(-1, 2))
        self._lengths = np.array([one.frames for one in kept], np.int64)
        self._maps: dict[str, NDArray[np.uint8]] = {}
        self._local = threading.local()

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._labels

    @property
    def seconds(self) -> NDArray[np.float64]:
        return self._seconds

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self._sizes

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(entry.kept.key for entry in self._entries)

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        """See `Split.take`: the frames kept for the moments nearest below `times`."""
        within = np.mod(times, self._seconds[videos, None])
        numbers = np.floor(within * self._fps + _EPSILON).astype(np.int64)
        np.minimum(numbers, self._lengths[videos, None] - 1, out=numbers)  # (B, T)
        for video, frames, window in zip(videos.tolist(), numbers, windows.tolist(), strict=True):
            top, bottom, left, right = window
            entry = self._entries[video]
            shard, kept = self._map(entry.file), entry.kept
            if self._storage == "jpeg":
                yield self._jpeg().read(shard, kept, frames)[:, top:bottom, left:right]
            else:
                shape = (kept.frames, kept.height, kept.width, 3)
                whole: Frames = np.ndarray(shape, np.uint8, shard, kept.offset)
                yield whole[frames, top:bottom, left:right]

    def _map(self, file: str) -> NDArray[np.uint8]:
        if file not in self._maps:
            self._maps[file] = np.asarray(np.memmap(self._folder / file, dtype=np.uint8, mode="r"))
        return self._maps[file]

    def _jpeg(self) -> shards.JpegReader:
        if not hasattr(self._local, "reader"):
            self._local.reader = shards.JpegReader()
        reader: shards.JpegReader = self._local.reader
        return reader

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> tuple[Callable[[Path, SplitName], CachedSplit], tuple[Path, SplitName]]:
        return _reopen, (self._folder, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A built cache.

    Attributes:
        name: of the source.
        classes: of the source; labels index it.
        bytes: of all shards.
        bad: videos that are left out.
        checksum: of the source.
    """

    folder: Path
    name: str
    classes: tuple[str, ...]
    needs: CacheNeeds
    storage: Storage
    bytes: int
    bad: tuple[Bad, ...]
    checksum: str
    train: CachedSplit
    val: CachedSplit


def open_built(folder: Path) -> Cached:
    """A cache that `open_cache` has built; needs no source.

    Raises:
        RunFailed: it is not there, or not whole.
    """
    index = read_index(folder)
    if index is None:
        raise RunFailed(
            f"the cache {folder} must be built, but has no index: start or resume the run to build it."
        )
    for shard in index["shards"]:
        if not shards.has_size(folder / shard["file"], shard["bytes"]):
            raise RunFailed(
                f"{folder / shard['file']} must have {shard['bytes']:,} bytes, but it is damaged: "
                "start or resume the run to build it anew."
            )
    needs = CacheNeeds(short_side=index["short_side"], fps=index["fps"])
    splits: dict[SplitName, list[_Entry]] = {"train": [], "val": []}
    for shard in index["shards"]:
        for values in shard["kept"]:
            kept = Kept(**dict(zip(index["columns"], values, strict=True)))
            splits[kept.split].append(_Entry(shard["file"], kept))
    train, val = (CachedSplit(folder, split, needs.fps, index["storage"], splits[split]) for split in SPLITS)
    return Cached(
        folder=folder,
        name=index["name"],
        classes=tuple(index["classes"]),
        needs=needs,
        storage=index["storage"],
        bytes=sum(shard["bytes"] for shard in index["shards"]),
        bad=tuple(Bad(*bad) for shard in index["shards"] for bad in shard["bad"]),
        checksum=index["checksum"],
        train=train,
        val=val,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    file: str
    kept: Kept


def _frozen(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    values.setflags(write=False)
    return values


def _reopen(folder: Path, name: SplitName) -> CachedSplit:
    cached = open_built(folder)
    return cached.train if name == "train" else cached.val


def read_index(folder: Path) -> dict[str, Any] | None:
    """The index of a cache; None: there is none, or none that is whole."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        whole = index.keys() >= _KEYS and all(_SHARD.fullmatch(shard["file"]) for shard in index["shards"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return index if whole else None
