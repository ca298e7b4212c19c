"""The files of the cache: a shard holds the frames of some videos, one after the other.

N frames kept of a video, H × W pixels, 3 channels in the order RGB. A video starts at a multiple of 8 bytes,
with the N times (float64) from which on each of its frames is the nearest one kept. Raw, its (N, H, W, 3)
bytes follow. As JPEG, N + 1 positions follow (uint64, counted from where they stand), then N pictures.
All numbers are little-endian.
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
from expand.data.needs import CacheNeeds
from expand.data.shrinking import EXACT
from expand.system.files import replacing, write_atomic

Storage = Literal["raw", "jpeg"]
STORAGES: tuple[Storage, ...] = ("raw", "jpeg")
_QUALITY = 2  # mjpeg's quantiser, 1 to 31: about JPEG quality 95
_CONVERT = Interpolation.BICUBIC | EXACT
_CHECK_BLOCK = 1 << 24
_ALIGN = 8  # bytes
_TIME = 8  # bytes of a time
AGAIN = "start again: what was decoded is kept"  # what to do where the disk was full


class Entry(NamedTuple):
    """A video that a shard is asked to hold."""

    split: SplitName
    item: Item


class Bad(NamedTuple):
    """A video that is left out, and why."""

    key: str
    split: SplitName
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Where a video lies in its shard.

    Attributes:
        offset: bytes from the start of the shard.
        seconds: duration of the whole video, not only of the frames kept.
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
    """A finished shard. `entries` is a checksum of what it was asked to hold."""

    file: str
    bytes: int
    crc32: int
    entries: int
    kept: tuple[Kept, ...]
    bad: tuple[Bad, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What every shard of a cache has in common."""

    source: Source
    folder: Path
    needs: CacheNeeds
    storage: Storage


def build_shard(plan: Plan, job: tuple[str, tuple[Entry, ...]]) -> Shard:
    """Decodes the entries into one file; the file, and then its description, appear whole or not at all."""
    file, entries = job
    kept: list[Kept] = []
    bad: list[Bad] = []
    with replacing(plan.folder / file, AGAIN) as unfinished, unfinished.open("wb") as out:
        writer = _Writer(out)
        for (split, item), found in _read(plan, entries):
            if isinstance(found, BadVideo):
                bad.append(Bad(item.key, split, str(found)))
                continue
            count, height, width, _ = found.frames.shape
            writer.align()
            kept.append(
                Kept(
                    split=split,
                    key=item.key,
                    label=item.label,
                    offset=writer.bytes,
                    frames=count,
                    height=height,
                    width=width,
                    seconds=found.info.seconds,
                )
            )
            writer.write(_begins(found.spans).view(np.uint8))
            raw = plan.storage == "raw"
            writer.write(np.ascontiguousarray(found.frames) if raw else pack_jpeg(found.frames))
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
    """The shard as an interrupted build left it, if it is whole and holds just these entries."""
    try:
        values = json.loads(_description(folder / file).read_text())
        shard = Shard(
            **{
                **values,
                "kept": tuple(Kept(**kept) for kept in values["kept"]),
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
    """Whether a shard's bytes are those that were written."""
    if not has_size(path, size):
        return False
    found = 0
    with path.open("rb") as file:
        while block := file.read(_CHECK_BLOCK):
            found = zlib.crc32(block, found)
    return found == crc32


def pack_jpeg(frames: Frames) -> NDArray[np.uint8]:
    """The bytes of a video kept as JPEG."""
    pictures = list(_jpegs(frames))
    positions = np.cumsum([8 * (len(pictures) + 1), *map(len, pictures)], dtype="<u8")
    return np.frombuffer(positions.tobytes() + b"".join(pictures), dtype=np.uint8)


def frames_at(
    shard: NDArray[np.uint8], offset: int, frames: int, moments: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(T,) which of the frames kept of the video at `offset` are the nearest to the moments (T,)."""
    begins = np.ndarray((frames,), "<f8", shard, offset)
    return np.searchsorted(begins[1:], moments, side="right")


def raw_frames(shard: NDArray[np.uint8], offset: int, frames: int, height: int, width: int) -> Frames:
    """(N, H, W, 3): the frames of the video at `offset`, kept raw; a view of the file."""
    return np.ndarray((frames, height, width, 3), np.uint8, shard, offset + _TIME * frames)


class JpegReader:
    """Pictures of videos kept as JPEG; not for several threads at once."""

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
        """(T, H, W, 3): some of the frames of the video at `offset`, by number."""
        table = offset + _TIME * frames
        positions = np.ndarray((frames + 1,), "<u8", shard, table).astype(np.int64) + table
        out = np.empty((len(chosen), height, width, 3), np.uint8)
        done: dict[int, int] = {}  # a frame that is asked for several times is decoded once
        for place, frame in enumerate(chosen.tolist()):
            if frame in done:
                out[place] = out[done[frame]]
                continue
            done[frame] = place
            packet = av.Packet(shard[positions[frame] : positions[frame + 1]].tobytes())
            (picture,) = self._codec.decode(packet)
            rgb = self._reformatter.reformat(picture, format="rgb24", interpolation=_CONVERT, threads=1)
            out[place] = rgb.to_ndarray()
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
        """Fill up to where a video may start."""
        self.write(np.zeros(-self.bytes % _ALIGN, np.uint8))


def _read(plan: Plan, entries: tuple[Entry, ...]) -> Iterator[tuple[Entry, Decoded | BadVideo]]:
    """Each entry with its frames; those of one file and one split, where they stand together, in one go."""
    for (_, split), group in groupby(entries, key=lambda entry: (entry.item.file, entry.split)):
        together = list(group)
        moments = partial(plan.needs.moments, split)
        items = [entry.item for entry in together]
        found = plan.source.read(items, moments, short_side=plan.needs.short_side)
        yield from zip(together, found, strict=True)


def _begins(spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) from when on each of the frames kept is the nearest one kept, from their spans (N, 2)."""
    between = (spans[:-1, 1] + spans[1:, 0]) / 2
    return np.concatenate(([0.0], between)).astype("<f8")


def _entries_crc32(entries: tuple[Entry, ...]) -> int:
    listed = [(split, item.key, item.label) for split, item in entries]  # keys of cuts tell their times
    return zlib.crc32(json.dumps(listed).encode())


def _description(path: Path) -> Path:
    return path.with_suffix(".json")
