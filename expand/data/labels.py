"""What the videos of a split show, and what a network is to say of their clips.

V videos, B clips, T frames in a clip, C classes. Times are seconds from a video's start; beyond its end they
wrap round, as the frames do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A class that is seen from `start` to `end`, both included; without times, in the whole video."""

    label: int
    start: float = 0.0
    end: float = float("inf")


class Targets(Protocol):
    """What a network is to say of clips.

    targets(np.array([7]), np.array([[0.0, 0.4]]), np.array([False]))
    """

    def __call__(self, videos: NDArray[np.int64], times: NDArray[np.float64], mirrored: Flags) -> Tensor:
        """The targets of B clips.

        Args:
            videos: (B,) of which video each clip is.
            times: (B, T) when its frames are.
            mirrored: (B,) whether it is flipped left to right.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OneLabel:
    """(B,) the class of each clip: that of its video.

    Attributes:
        labels: (V,).
        swaps: for each class, the class of its mirror image; None: clips are not mirrored.
    """

    labels: NDArray[np.int64]
    swaps: tuple[int, ...] | None = None

    def __call__(
        self,
        videos: NDArray[np.int64],
        times: NDArray[np.float64],  # noqa: ARG002  # the label is that of the whole video
        mirrored: Flags,
    ) -> Tensor:
        labels = self.labels[videos]
        if self.swaps is not None:
            labels = np.where(mirrored, np.array(self.swaps)[labels], labels)
        return torch.from_numpy(labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeveralLabels:
    """(B, C) 1 for each class that one of a clip's frames shows, or (B, T, C) for each of the frames.

    Attributes:
        segments: of each of the V videos.
        seconds: (V,) how long each video is.
        classes: C.
        per_frame: whether every frame has targets of its own.
        swaps: as in `OneLabel`.
    """

    segments: tuple[tuple[Segment, ...], ...]
    seconds: NDArray[np.float64]
    classes: int
    per_frame: bool = False
    swaps: tuple[int, ...] | None = None

    def __call__(self, videos: NDArray[np.int64], times: NDArray[np.float64], mirrored: Flags) -> Tensor:
        shown = self.shown(videos, times)
        if self.swaps is not None:
            there = np.array(self.swaps)  # a pair swaps both ways, so this is its own inverse
            shown = np.where(mirrored[:, None, None], shown[:, :, there], shown)
        return torch.from_numpy((shown if self.per_frame else shown.any(axis=1)).astype(np.float32))

    def shown(self, videos: NDArray[np.int64], times: NDArray[np.float64]) -> Flags:
        """(B, T, C) the classes that are seen in each video at these times."""
        within = np.mod(times, self.seconds[videos, None])
        shown = np.zeros((*times.shape, self.classes), np.bool_)
        for place, video in enumerate(videos.tolist()):
            for segment in self.segments[video]:
                moments = within[place]
                shown[place, (moments >= segment.start) & (moments <= segment.end), segment.label] = True
        return shown

    def of_videos(self) -> Flags:
        """(V, C) the classes that each video shows somewhere."""
        return np.array([self._has(segments) for segments in self.segments]).reshape(-1, self.classes)

    def _has(self, segments: Sequence[Segment]) -> Flags:
        has = np.zeros(self.classes, np.bool_)
        has[[segment.label for segment in segments]] = True
        return has
