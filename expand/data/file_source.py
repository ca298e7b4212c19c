"""Labelled videos in files, as a Source."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from expand.data import video
from expand.data.base import SPLITS, BadVideo, Frames, Item, SplitName, VideoInfo
from expand.data.labels import Segment

_HASH_BLOCK = 1 << 20
_HASH_CHUNK = 32  # files that a thread takes at once: small ones take less than being handed over


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """Videos in files; a key is the path relative to `root`, or whole where the file lies elsewhere.

    Attributes:
        segments: what each video shows, by its key, where a video has several labels: its items' labels are
            all 0 then. None: a video has the one label of its item.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    splits: dict[SplitName, tuple[Item, ...]]
    segments: Mapping[str, tuple[Segment, ...]] | None = None

    def path(self, item: Item) -> Path:
        return self.root / item.key

    def checksum(self, digests: Sequence[bytes] | None = None) -> str:
        """See `Source.checksum`; `digests` where they are known already."""
        listed = {split: [(item.key, item.label) for item in self.splits[split]] for split in SPLITS}
        total = hashlib.sha256(json.dumps([self.classes, listed]).encode())
        if self.segments is not None:
            shown = {key: [astuple(segment) for segment in found] for key, found in self.segments.items()}
            total.update(json.dumps(shown, sort_keys=True).encode())
        for digest in self.digests() if digests is None else digests:
            total.update(digest)
        return total.hexdigest()

    def digests(self) -> list[bytes]:
        """SHA-256 of each video's bytes, training first; of a missing file, of nothing but that."""
        paths = [self.path(item) for split in SPLITS for item in self.splits[split]]
        chunks = [paths[at : at + _HASH_CHUNK] for at in range(0, len(paths), _HASH_CHUNK)]
        with ThreadPoolExecutor(max_workers=8) as threads:
            return [digest for digests in threads.map(_digests, chunks) for digest in digests]

    def probe(self, item: Item) -> VideoInfo:
        """What the header says, without decoding; may raise BadVideo."""
        return video.probe(self.path(item))

    def inspect(self, item: Item) -> VideoInfo:
        return video.inspect(self.path(item))

    def decode(self, item: Item, *, fps: float, short_side: int) -> Frames:
        return video.decode(self.path(item), fps=fps, short_side=short_side)

    def read(self, item: Item, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames]:
        """`inspect` and `decode` in one pass."""
        return video.read(self.path(item), fps=fps, short_side=short_side)


def _digests(paths: Sequence[Path]) -> list[bytes]:
    return [_digest(path) for path in paths]


def _digest(path: Path) -> bytes:
    total = hashlib.sha256()
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # a pipe would be waited for, a device never ends
            raise OSError(errno.ENXIO, "no file")
        with path.open("rb") as file:
            while block := file.read(_HASH_BLOCK):
                total.update(block)
    except OSError as error:
        return hashlib.sha256(f"{BadVideo('missing').reason} {error.errno}".encode()).digest()
    return total.digest()
