"""A built cache of decoded videos, read through memory maps, so that all processes share its pages.

Shapes: N frames kept of a video, T frames in a clip, V videos in a split, H × W pixels, 3 channels (RGB).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from expand.data import shards
from expand.data.base import SPLITS, Frames, SplitName
from expand.data.shards import Bad, Shard, Storage
from expand.system.errors import RunFailed
from expand.system.files import replacing

INDEX = "index.json"
VIDEOS = "videos.npy"  # a row for each video, without Python objects, so a hundred thousand open at once
KEYS = "keys.npy"
_KEYS = {"name", "classes", "checksum", "needs", "storage", "estimate", "videos", "shards", "bad"}
_SHARD = re.compile(r"shard-\d{4,}\.bin")  # matches no path outside the cache's folder
_ROW = np.dtype(
    [
        ("split", "u1"),
        ("shard", "<u4"),
        ("label", "<i8"),
        ("offset", "<u8"),
        ("frames", "<u4"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("seconds", "<f8"),
    ]
)

_Scalar = TypeVar("_Scalar", bound=np.generic)


class CachedSplit:
    """A `Split` read from a cache. It is pickled as the cache's path, so that processes share the pages."""

    def __init__(
        self, folder: Path, name: SplitName, storage: Storage, files: tuple[str, ...], rows: NDArray[Any]
    ) -> None:
        self.name = name
        self._folder = folder
        self._storage = storage
        self._files = files
        self._numbers = np.flatnonzero(rows["split"] == SPLITS.index(name))  # (V,) indices into all videos
        own = rows[self._numbers]
        self._labels = _frozen(own["label"].astype(np.int64))
        self._seconds = _frozen(own["seconds"].astype(np.float64))
        self._sizes = _frozen(np.stack((own["height"], own["width"]), axis=1).astype(np.int64))
        self._locations = np.stack((own["shard"], own["offset"], own["frames"]), axis=1).astype(np.int64)
        self._maps: dict[int, NDArray[np.uint8]] = {}
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
        keys = _opened(self._folder / KEYS)
        return tuple(key.decode() for key in keys[self._numbers].tolist())

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        """See `Split.take`."""
        within = np.mod(times, self._seconds[videos, None])  # (B, T)
        locations, sizes = self._locations[videos].tolist(), self._sizes[videos].tolist()
        for location, size, moments, window in zip(locations, sizes, within, windows.tolist(), strict=True):
            top, bottom, left, right = window
            file, offset, frames = location
            shard = self._map(file)
            chosen = shards.frames_at(shard, offset, frames, moments)
            height, width = size
            if self._storage == "jpeg":
                pictures = self._jpeg().read(shard, offset, frames, height, width, chosen)
                yield pictures[:, top:bottom, left:right]
            else:
                yield shards.raw_frames(shard, offset, frames, height, width)[chosen, top:bottom, left:right]

    def _map(self, file: int) -> NDArray[np.uint8]:
        if file not in self._maps:
            path = self._folder / self._files[file]
            self._maps[file] = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        return self._maps[file]

    def _jpeg(self) -> shards.JpegReader:
        if not hasattr(self._local, "reader"):
            self._local.reader = shards.JpegReader()
        reader: shards.JpegReader = self._local.reader
        return reader

    def __len__(self) -> int:
        return len(self._numbers)

    def __reduce__(self) -> tuple[Callable[[Path, SplitName], CachedSplit], tuple[Path, SplitName]]:
        return _reopen, (self._folder, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A built cache of a source.

    Attributes:
        folder: the cache's folder.
        name: the source's name.
        classes: the source's classes, which labels index.
        storage: whether frames are kept raw or as JPEG.
        bytes: size of all shards together.
        bad: videos that are left out.
        checksum: the source's checksum.
        splits: the decoded splits; those that were not asked for are empty.
    """

    folder: Path
    name: str
    classes: tuple[str, ...]
    storage: Storage
    bytes: int
    bad: tuple[Bad, ...]
    checksum: str
    splits: Mapping[SplitName, CachedSplit]

    @property
    def train(self) -> CachedSplit:
        return self.splits["train"]

    @property
    def val(self) -> CachedSplit:
        return self.splits["val"]

    def __len__(self) -> int:
        return sum(len(split) for split in self.splits.values())


def write_videos(folder: Path, done: Sequence[Shard]) -> None:
    """Write the arrays that list the videos of all shards, with their location, size and label."""
    kept = [(number, one) for number, shard in enumerate(done) for one in shard.kept]
    rows = np.empty(len(kept), _ROW)
    rows["shard"] = [number for number, _ in kept]
    rows["split"] = [SPLITS.index(one.split) for _, one in kept]
    for name in ("label", "offset", "frames", "height", "width", "seconds"):
        rows[name] = [getattr(one, name) for _, one in kept]
    keys = np.array([one.key.encode() for _, one in kept], dtype=np.bytes_)
    for file, values in ((VIDEOS, rows), (KEYS, keys)):
        with replacing(folder / file, shards.AGAIN) as unfinished, unfinished.open("wb") as out:
            np.save(out, values)


def open_built(folder: Path) -> Cached:
    """Open a cache that `open_cache` has built, without its source.

    Raises:
        RunFailed: the cache is missing, incomplete or damaged.
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
    rows = _opened(folder / VIDEOS)
    files = tuple(shard["file"] for shard in index["shards"])
    return Cached(
        folder=folder,
        name=index["name"],
        classes=tuple(index["classes"]),
        storage=index["storage"],
        bytes=sum(shard["bytes"] for shard in index["shards"]),
        bad=tuple(Bad(*bad) for bad in index["bad"]),
        checksum=index["checksum"],
        splits={name: CachedSplit(folder, name, index["storage"], files, rows) for name in SPLITS},
    )


def _frozen(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    values.setflags(write=False)
    return values


def _opened(path: Path) -> NDArray[Any]:
    """Memory-map an array in a file; ValueError for arrays of Python objects, which would need pickle."""
    return np.lib.format.open_memmap(path, mode="r")


def _reopen(folder: Path, name: SplitName) -> CachedSplit:
    return open_built(folder).splits[name]


def read_index(folder: Path) -> dict[str, Any] | None:
    """Read the index of a cache; None where it is missing or damaged, or does not fit the lists of videos."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        whole = index.keys() >= _KEYS and all(_SHARD.fullmatch(shard["file"]) for shard in index["shards"])
        rows = _opened(folder / VIDEOS)
        keys = _opened(folder / KEYS)
        whole = whole and rows.dtype == _ROW and len(rows) == len(keys) == index["videos"]
    except (OSError, ValueError, AttributeError, KeyError, TypeError, EOFError):
        return None
    return index if whole else None
