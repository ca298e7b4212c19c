"""The training targets of clips, for videos with one label or with several labelled segments.

Shapes: V videos, B clips, T frames in a clip, C classes. Times are seconds from a video's start; beyond its
end they wrap around to its start, as the frames do.
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
    """A class that a video shows from `start` to `end` (seconds, both included); by default throughout."""

    label: int
    start: float = 0.0
    end: float = float("inf")


class ClipTargets(Protocol):
    """Gives the targets of clips.

    targets(np.array([7]), np.array([[0.0, 0.4]]), np.array([False]))
    """

    def __call__(self, videos: NDArray[np.int64], times: NDArray[np.float64], mirrored: Flags) -> Tensor:
        """Return the targets of B clips.

        Args:
            videos: (B,) index of each clip's video.
            times: (B, T) times of its frames, in seconds.
            mirrored: (B,) whether it is flipped left to right.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OneLabel:
    """Targets (B,): the class of each clip's video.

    Attributes:
        labels: (V,) the class of each video.
        swaps: for each class, the class of its mirror image; None where clips are not mirrored.
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
    """Targets (B, C): 1 for each class that any frame of the clip shows; or (B, T, C), for every frame.

    Attributes:
        segments: labelled segments of each of the V videos.
        seconds: (V,) duration of each video.
        classes: number of classes, C.
        per_frame: whether targets are given for every frame.
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
            swaps = np.array(self.swaps)  # a pair swaps both ways, so this is its own inverse
            shown = np.where(mirrored[:, None, None], shown[:, :, swaps], shown)
        return torch.from_numpy((shown if self.per_frame else shown.any(axis=1)).astype(np.float32))

    def shown(self, videos: NDArray[np.int64], times: NDArray[np.float64]) -> Flags:
        """Return whether each class is shown in each video at these times, (B, T, C)."""
        within = np.mod(times, self.seconds[videos, None])
        shown = np.zeros((*times.shape, self.classes), np.bool_)
        for clip, video in enumerate(videos.tolist()):
            for segment in self.segments[video]:
                moments = within[clip]
                shown[clip, (moments >= segment.start) & (moments <= segment.end), segment.label] = True
        return shown

    def of_videos(self) -> Flags:
        """Return whether each video shows each class at any time, (V, C)."""
        return np.array([self._has(segments) for segments in self.segments]).reshape(-1, self.classes)

    def _has(self, segments: Sequence[Segment]) -> Flags:
        has = np.zeros(self.classes, np.bool_)
        has[[segment.label for segment in segments]] = True
        return has
