"""The contract between videos and what reads them.

A `Source` lists labelled videos in two splits and decodes one at a time; files on disk and clips drawn from
a seed are both sources. The cache (cache.py) decodes a source once, into `Split`s that training reads.

Shapes: N frames kept of a video, T frames in a clip, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
MEAN = 0.45  # of each channel, in shares of white: what normalised clips have taken off, and are divided by
STD = 0.225
SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, ...] = ("train", "val")

# Why a video cannot be used, in the words of reports.
BadReason = Literal["missing", "empty", "unreadable", "no video stream", "no frames", "truncated"]


class BadVideo(Exception):
    """A video that cannot be used, with the reason."""

    def __init__(self, reason: BadReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: BadReason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A labelled video: `key` names it within its source, `label` is an index into the source's classes."""

    key: str
    label: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video is, after rotation metadata.

    Attributes:
        seconds: from the first frame to the end of the last.
        frames: decoded frames.
        fps: average frame rate.
        width, height: pixels.
        variable_rate: whether the time between frames varies.
        rotation: degrees that the metadata turns the frames by, 0 where it says nothing.
    """

    seconds: float
    frames: int
    fps: float
    width: int
    height: int
    variable_rate: bool = False
    rotation: int = 0


class Source(Protocol):
    """Labelled videos in two splits.

        source.splits["train"][0]                     # Item(key="walk/a.mp4", label=3)
        source.inspect(item)                          # VideoInfo, or raises BadVideo
        source.decode(item, fps=10, short_side=80)    # (N, H, W, 3): frame k is the one at k / fps seconds

    Sources are small and picklable: the cache hands them to its processes.
    """

    @property
    def name(self) -> str:
        """What the data is called in tables and model files, such as the folder's name."""
        ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def splits(self) -> dict[SplitName, tuple[Item, ...]]: ...

    def checksum(self) -> str:
        """SHA-256 (hex) over all that decides frames and labels: classes, splits, the videos' bytes."""
        ...

    def inspect(self, item: Item) -> VideoInfo:
        """Decodes the whole video and says what it is.

        Raises:
            BadVideo: it cannot be used.
        """
        ...

    def decode(self, item: Item, *, fps: float, short_side: int) -> Frames:
        """The video's frames at k / fps seconds, N = max(1, floor(seconds · fps)).

        The shorter side is `short_side` pixels, or less where the video has less: never enlarged. A frame
        rate above the video's own repeats frames.

        Raises:
            BadVideo: it cannot be used.
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
            times: (B, T) in seconds: a frame is the one shown then; beyond a video's end, times wrap round.
            windows: (B, 4) what is cut out of the frames: top, bottom, left, right, in pixels.
        """
        ...
