"""The interfaces of videos: a Source lists and decodes labelled videos, a Split gives clips of decoded ones.

Videos in files and synthetic ones are both sources. The cache (cache.py) decodes a source once, into `Split`s
that training reads.

Shapes: N frames kept of a video, T frames in a clip, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
MEAN = 0.45  # clips are normalised by (x - MEAN) / STD in each channel, where white is 1
STD = 0.225
SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")  # a search decides by `val`, never by `test`
SEARCHED: tuple[SplitName, ...] = ("train", "val")

# Maps a video's duration in seconds to the times at which frames are wanted: (N,) seconds, rising.
Moments = Callable[[float], NDArray[np.float64]]

# Why a video cannot be used, as reports say it.
BadReason = Literal[
    "missing", "empty", "unreadable", "no video stream", "no frames", "truncated", "gap in time", "outside"
]


class BadVideo(Exception):
    """A video cannot be used; `reason` says why."""

    def __init__(self, reason: BadReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: BadReason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A part of a longer video.

    Attributes:
        file: key of the longer video.
        start, end: when the part begins and ends, in seconds from the longer video's first frame.
    """

    file: str
    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"start must be at least 0 and below end, got {self.start!r} and {self.end!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A labelled video.

    Attributes:
        key: the video's name, unique in its source.
        label: index of the class in the source's classes.
        cut: the part of a longer video that it is; None where it is the whole video `key`.
    """

    key: str
    label: int
    cut: Cut | None = None

    @property
    def file(self) -> str:
        """The key of the file that holds the video; items of one file are decoded together."""
        return self.key if self.cut is None else self.cut.file


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """Properties of a video, after the rotation and mirroring that its metadata ask for.

    Attributes:
        seconds: duration, from the first frame to the end of the last.
        frames: number of frames that can be decoded.
        fps: average frame rate.
        width, height: size in pixels.
        variable_rate: whether the time between frames varies.
        rotation: degrees by which the metadata rotate the frames, 0 without such metadata.
        mirrored: whether the metadata mirror the frames.
        remarks: oddities of the video and how each is handled, such as
            `2 video streams: the one of 640×480 is read`.
    """

    seconds: float
    frames: int
    fps: float
    width: int
    height: int
    variable_rate: bool = False
    rotation: int = 0
    mirrored: bool = False
    remarks: tuple[str, ...] = ()


class Decoded(NamedTuple):
    """A video's kept frames and their times.

    Attributes:
        info: properties of the video.
        times: (N,) when the kept frames are shown, in seconds from the video's start, rising.
        spans: (N, 2) the time, in seconds, during which each kept frame is the nearest of all the video's
            frames: from midway to its predecessor until midway to its successor, whether or not these are
            kept. The first frame's span starts at 0, and the last one's ends with the video.
        frames: (N, H, W, 3) the kept frames, all different ones.
    """

    info: VideoInfo
    times: NDArray[np.float64]
    spans: NDArray[np.float64]
    frames: Frames

    def nearest(self, moments: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the indices of the kept frames that are nearest to the moments (M,), in seconds: (M,)."""
        return np.searchsorted(self.spans[1:, 0], moments, side="right")


class Source(Protocol):
    """Labelled videos in three splits.

        source.splits["train"][0]                     # Item(key="walk/a.mp4", label=3)
        source.inspect(item)                          # VideoInfo, or raises BadVideo
        (decoded,) = source.read([item], lambda seconds: np.arange(0, seconds, 0.1), short_side=80)
        decoded.frames                                # (N, H, W, 3): those nearest to every tenth of a second

    Sources are small and picklable, as the cache sends them to its worker processes.
    """

    @property
    def name(self) -> str:
        """The name of the data in tables and model files, such as the folder's name."""
        ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def splits(self) -> dict[SplitName, tuple[Item, ...]]:
        """All splits; one that the data does not have, or that was not asked for, is empty."""
        ...

    def only(self, splits: Sequence[SplitName]) -> Source:
        """Return the source with only these splits; the others are empty."""
        ...

    def checksum(self) -> str:
        """Return the SHA-256 (hex) of all that frames and labels depend on: classes, splits, video bytes."""
        ...

    def inspect(self, item: Item) -> VideoInfo:
        """Decode the whole video and return its properties.

        Raises:
            BadVideo: the video cannot be used.
        """
        ...

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        """Decode, for each of these items of one file, the frames nearest to its moments.

        A frame that is nearest to several moments is returned once. The shorter side of the frames is
        `short_side` pixels, or the video's own if that is smaller: frames are never enlarged. A video that
        cannot be used is returned as BadVideo, not raised.
        """
        ...


class Split(Protocol):
    """One decoded split, without bad videos, which training and validation read.

        split.labels[7], split.seconds[7], split.sizes[7]         # 3, 2.5, (80, 106)
        windows = np.array([[0, 64, 20, 84]])                     # top, bottom, left, right
        (clip,) = split.take(np.array([7]), np.array([[0.0, 0.4]]), windows)
        clip.shape                                                # (2, 64, 64, 3)

    Shapes: V videos in the split, B requested clips.
    """

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each video, (V,)."""
        ...

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The duration of each video, (V,)."""
        ...

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Height and width of each video's frames, (V, 2), in pixels."""
        ...

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        """Yield B clips, each (T, bottom - top, right - left, 3).

        Args:
            videos: (B,) index of each clip's video.
            times: (B, T) in seconds; each gets the nearest kept frame. Times beyond a video's end wrap
                around to its start.
            windows: (B, 4) the crop of each clip: top, bottom, left, right, in pixels.
        """
        ...
