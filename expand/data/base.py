"""The contract between videos and what reads them.

A `Source` lists labelled videos in three splits and decodes them; files on disk and clips drawn from a seed
are both sources. The cache (cache.py) decodes a source once, into `Split`s that training reads.

Shapes: N frames kept of a video, T frames in a clip, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
MEAN = 0.45  # of each channel, in shares of white: what normalised clips have taken off, and are divided by
STD = 0.225
SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")  # `val` decides; no search ever reads `test`
SEARCHED: tuple[SplitName, ...] = ("train", "val")

# The times in a video of so many seconds at which frames are wanted: (N,) in seconds from its start, rising.
Moments = Callable[[float], NDArray[np.float64]]

# Why a video cannot be used, in the words of reports.
BadReason = Literal[
    "missing", "empty", "unreadable", "no video stream", "no frames", "truncated", "gap in time", "outside"
]


class BadVideo(Exception):
    """A video that cannot be used, with the reason."""

    def __init__(self, reason: BadReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: BadReason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A part of a longer video.

    Attributes:
        file: the whole video, as a key.
        start: where it begins, in seconds from the whole video's first frame.
        end: likewise.
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
        key: names it within its source.
        label: an index into the source's classes.
        cut: of a longer video; None: all of the video that `key` names.
    """

    key: str
    label: int
    cut: Cut | None = None

    @property
    def file(self) -> str:
        """The key of the video that it is in: items with the same one share its decoding."""
        return self.key if self.cut is None else self.cut.file


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video is, turned and mirrored as its metadata say.

    Attributes:
        seconds: from the first frame to the end of the last.
        frames: decoded frames.
        fps: average frame rate.
        width, height: pixels.
        variable_rate: whether the time between frames varies.
        rotation: degrees that the metadata turns the frames by, 0 where it says nothing.
        mirrored: whether the metadata mirrors the frames.
        remarks: what is odd about it and was decided, each in a few words, such as
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
    """A video that was read.

    Attributes:
        info: what it is.
        times: (N,) when the frames that are kept appear, in seconds from its start, rising.
        spans: (N, 2) from when until when each of them is the nearest of all frames of the video, in seconds:
            from the middle between its predecessor and it to the middle between it and its successor, whether
            or not these are kept. 0 for the first frame's start, the video's seconds for the last one's end.
        frames: (N, H, W, 3), each another frame of the video.
    """

    info: VideoInfo
    times: NDArray[np.float64]
    spans: NDArray[np.float64]
    frames: Frames


class Source(Protocol):
    """Labelled videos in three splits.

        source.splits["train"][0]                     # Item(key="walk/a.mp4", label=3)
        source.inspect(item)                          # VideoInfo, or raises BadVideo
        (found,) = source.read([item], lambda seconds: np.arange(0, seconds, 0.1), short_side=80)
        found.frames                                  # (N, H, W, 3): those nearest to every tenth of a second

    Sources are small and picklable: the cache hands them to its processes.
    """

    @property
    def name(self) -> str:
        """What the data is called in tables and model files, such as the folder's name."""
        ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def splits(self) -> dict[SplitName, tuple[Item, ...]]:
        """Every split; one that the data does not have, or that was not asked for, is empty."""
        ...

    def only(self, splits: Sequence[SplitName]) -> Source:
        """The same source with these splits alone; the others are empty."""
        ...

    def checksum(self) -> str:
        """SHA-256 (hex) over all that decides frames and labels: classes, splits, the videos' bytes."""
        ...

    def inspect(self, item: Item) -> VideoInfo:
        """Decodes the whole video and says what it is.

        Raises:
            BadVideo: it cannot be used.
        """
        ...

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        """For each of these items, which are all of one file, the frames that are nearest to its moments.

        A frame that is nearest to several moments is there once. The shorter side is `short_side` pixels, or
        less where the video has less: never enlarged.
        """
        ...


class Split(Protocol):
    """One split, decoded; what training and validation read. Bad videos are no longer in it.

        split.labels[7], split.seconds[7], split.sizes[7]         # 3, 2.5, (80, 106)
        windows = np.array([[0, 64, 20, 84]])                     # top, bottom, left, right
        (clip,) = split.take(np.array([7]), np.array([[0.0, 0.4]]), windows)
        clip.shape                                                # (2, 64, 64, 3)

    V videos in the split, B clips that are asked for.
    """

    @property
    def labels(self) -> NDArray[np.int64]:
        """(V,) the class of each video."""
        ...

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(V,) how long each video is."""
        ...

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(V, 2) height and width of each video's frames, in pixels."""
        ...

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        """B clips, each (T, bottom - top, right - left, 3), one after the other.

        Args:
            videos: (B,) of which video each clip is.
            times: (B, T) in seconds, each of which gets the nearest frame that is kept; beyond a video's end,
                they wrap round.
            windows: (B, 4) what is cut out of the frames: top, bottom, left, right, in pixels.
        """
        ...
