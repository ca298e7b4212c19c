"""Shards, the cache's files: written while videos are decoded, and read frame by frame.

A shard holds videos one after the other, each from a multiple of 8 bytes on. A video with N kept frames of
H × W pixels and 3 channels (RGB) begins with N times (float64), from which on each frame is the nearest one
kept. Raw frames follow as (N, H, W, 3) bytes. JPEG frames follow as a table of N + 1 positions (uint64, in
bytes from the table's start), and N pictures. All numbers are little-endian.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from expand.data.base import BadVideo, Decoded, Frames, Item, Source, SplitName
from expand.data.cache_needs import CacheNeeds
from expand.data.shrinking import EXACT
from expand.system.files import replacing, write_atomic

Storage = Literal["raw", "jpeg"]
STORAGES: tuple[Storage, ...] = ("raw", "jpeg")
_QUALITY = 2  # mjpeg's quantiser, 1 to 31: about JPEG quality 95
_CONVERT = Interpolation.BICUBIC | EXACT
_CHECK_BLOCK = 1 << 24
_ALIGN = 8  # bytes
_TIME = 8  # bytes of a time
AGAIN = "start again: what was decoded is kept"  # the advice to the user when the disk was full


class Entry(NamedTuple):
    """A video that a shard is to hold."""

    split: SplitName
    item: Item


class Bad(NamedTuple):
    """A video that is left out, and why."""

    key: str
    split: SplitName
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredVideo:
    """A video in a shard.

    Attributes:
        offset: its position in bytes from the start of the shard.
        frames: number of kept frames.
        seconds: duration of the whole video, not only of the kept frames.
    """

    split: SplitName
    key: str
    label: int
    offset: int
    frames: int
    height: int
    width: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A finished shard. `entries` is a checksum of the list of videos that it was built from."""

    file: str
    bytes: int
    crc32: int
    entries: int
    kept: tuple[StoredVideo, ...]
    bad: tuple[Bad, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardPlan:
    """What all shards of a cache have in common."""

    source: Source
    folder: Path
    needs: CacheNeeds
    storage: Storage


def build_shard(plan: ShardPlan, job: tuple[str, tuple[Entry, ...]]) -> Shard:
    """Decode the entries into one file, then write its description; each is put in place in one step."""
    file, entries = job
    kept: list[StoredVideo] = []
    bad: list[Bad] = []
    with replacing(plan.folder / file, AGAIN) as unfinished, unfinished.open("wb") as out:
        writer = _Writer(out)
        for (split, item), decoded in _read(plan, entries):
            if isinstance(decoded, BadVideo):
                bad.append(Bad(item.key, split, str(decoded)))
                continue
            count, height, width, _ = decoded.frames.shape
            writer.align()
            kept.append(
                StoredVideo(
                    split=split,
                    key=item.key,
                    label=item.label,
                    offset=writer.bytes,
                    frames=count,
                    height=height,
                    width=width,
                    seconds=decoded.info.seconds,
                )
            )
            writer.write(_begins(decoded.spans).view(np.uint8))
            raw = plan.storage == "raw"
            writer.write(np.ascontiguousarray(decoded.frames) if raw else pack_jpeg(decoded.frames))
    shard = Shard(
        file=file,
        bytes=writer.bytes,
        crc32=writer.crc32,
        entries=_entries_crc32(entries),
        kept=tuple(kept),
        bad=tuple(bad),
    )
    write_atomic(_description(plan.folder / file), json.dumps(asdict(shard)), AGAIN)
    return shard


def finished_shard(folder: Path, file: str, entries: tuple[Entry, ...]) -> Shard | None:
    """Return a shard of an interrupted build, if it is undamaged and was built from just these entries."""
    try:
        values = json.loads(_description(folder / file).read_text())
        shard = Shard(
            **{
                **values,
                "kept": tuple(StoredVideo(**kept) for kept in values["kept"]),
                "bad": tuple(Bad(*bad) for bad in values["bad"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if shard.entries != _entries_crc32(entries) or not is_whole(folder / file, shard.bytes, shard.crc32):
        return None
    return shard


def discard_shard(folder: Path, file: str) -> None:
    (folder / file).unlink(missing_ok=True)
    _description(folder / file).unlink(missing_ok=True)


def has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def is_whole(path: Path, size: int, crc32: int) -> bool:
    """Whether a shard has its size and checksum."""
    if not has_size(path, size):
        return False
    actual = 0
    with path.open("rb") as file:
        while block := file.read(_CHECK_BLOCK):
            actual = zlib.crc32(block, actual)
    return actual == crc32


def pack_jpeg(frames: Frames) -> NDArray[np.uint8]:
    """Encode frames as a table of positions and JPEG pictures, in the format of a shard."""
    pictures = list(_jpegs(frames))
    positions = np.cumsum([8 * (len(pictures) + 1), *map(len, pictures)], dtype="<u8")
    return np.frombuffer(positions.tobytes() + b"".join(pictures), dtype=np.uint8)


def frames_at(
    shard: NDArray[np.uint8], offset: int, frames: int, moments: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return which kept frames of the video at `offset` are nearest to the moments (T,): indices (T,)."""
    begins = np.ndarray((frames,), "<f8", shard, offset)
    return np.searchsorted(begins[1:], moments, side="right")


def raw_frames(shard: NDArray[np.uint8], offset: int, frames: int, height: int, width: int) -> Frames:
    """Return the raw frames of the video at `offset`, (N, H, W, 3), as a view of the file."""
    return np.ndarray((frames, height, width, 3), np.uint8, shard, offset + _TIME * frames)


class JpegReader:
    """Reads frames of videos that are kept as JPEG; each thread needs its own reader."""

    def __init__(self) -> None:
        self._codec = _mjpeg("r")
        self._reformatter = VideoReformatter()

    def read(
        self,
        shard: NDArray[np.uint8],
        offset: int,
        frames: int,
        height: int,
        width: int,
        chosen: NDArray[np.int64],
    ) -> Frames:
        """Decode the frames with the indices `chosen` of the video at `offset`, (T, H, W, 3)."""
        table = offset + _TIME * frames
        positions = np.ndarray((frames + 1,), "<u8", shard, table).astype(np.int64) + table
        out = np.empty((len(chosen), height, width, 3), np.uint8)
        decoded: dict[int, int] = {}  # frame: its first index in `out`, so that each is decoded once
        for index, frame in enumerate(chosen.tolist()):
            if frame in decoded:
                out[index] = out[decoded[frame]]
                continue
            decoded[frame] = index
            packet = av.Packet(shard[positions[frame] : positions[frame + 1]].tobytes())
            (picture,) = self._codec.decode(packet)
            rgb = self._reformatter.reformat(picture, format="rgb24", interpolation=_CONVERT, threads=1)
            out[index] = rgb.to_ndarray()
        return out


def _jpegs(frames: Frames) -> Iterable[bytes]:
    _, height, width, _ = frames.shape
    codec = _mjpeg("w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuvj444p"
    codec.time_base = Fraction(1, 25)
    codec.options = {"qmin": str(_QUALITY), "qmax": str(_QUALITY)}
    reformatter = VideoReformatter()
    for number, pixels in enumerate(frames):
        picture = reformatter.reformat(
            VideoFrame.from_ndarray(pixels, format="rgb24"),
            format="yuvj444p",
            dst_color_range=ColorRange.JPEG,
            interpolation=_CONVERT,
            threads=1,
        )
        picture.pts = number
        (packet,) = codec.encode(picture)
        yield bytes(packet)


def _mjpeg(mode: Literal["r", "w"]) -> VideoCodecContext:
    codec = av.CodecContext.create("mjpeg", mode)
    assert isinstance(codec, VideoCodecContext)
    codec.thread_count = 1
    return codec


class _Writer:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.bytes = 0
        self.crc32 = 0

    def write(self, values: NDArray[np.uint8]) -> None:
        block = values.reshape(-1).data
        self._out.write(block)
        self.bytes += block.nbytes
        self.crc32 = zlib.crc32(block, self.crc32)

    def align(self) -> None:
        """Pad with zeros to the next multiple of 8 bytes, where a video may start."""
        self.write(np.zeros(-self.bytes % _ALIGN, np.uint8))


def _read(plan: ShardPlan, entries: tuple[Entry, ...]) -> Iterator[tuple[Entry, Decoded | BadVideo]]:
    """Yield each entry with its frames; neighbours of one file and one split are decoded together."""
    for (_, split), group in groupby(entries, key=lambda entry: (entry.item.file, entry.split)):
        together = list(group)
        moments = partial(plan.needs.moments, split)
        items = [entry.item for entry in together]
        decoded = plan.source.read(items, moments, short_side=plan.needs.short_side)
        yield from zip(together, decoded, strict=True)


def _begins(spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times from which on each kept frame is the nearest one kept, (N,), by their spans (N, 2)."""
    between = (spans[:-1, 1] + spans[1:, 0]) / 2
    return np.concatenate(([0.0], between)).astype("<f8")


def _entries_crc32(entries: tuple[Entry, ...]) -> int:
    listed = [(split, item.key, item.label) for split, item in entries]  # keys of cuts contain their times
    return zlib.crc32(json.dumps(listed).encode())


def _description(path: Path) -> Path:
    return path.with_suffix(".json")
