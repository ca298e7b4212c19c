"""Splits whose frames are known, without files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expand.data.base import Frames, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class ArraySplit:
    """Videos as arrays (N, H, W, 3), at 100 frames a second."""

    videos: tuple[Frames, ...]
    labels: NDArray[np.int64]

    @classmethod
    def of_seconds(cls, seconds: Sequence[float]) -> ArraySplit:
        """Grey videos; brightness is the number of the frame."""
        return cls(
            videos=tuple(
                np.broadcast_to(
                    np.arange(round(100 * one), dtype=np.uint8)[:, None, None, None],
                    (round(100 * one), 8, 10, 3),
                )
                for one in seconds
            ),
            labels=np.zeros(len(seconds), np.int64),
        )

    @property
    def seconds(self) -> NDArray[np.float64]:
        return np.array([len(video) / 100 for video in self.videos])

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.array([video.shape[1:3] for video in self.videos], np.int64)

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        for video, moments, (top, bottom, left, right) in zip(videos, times, windows, strict=True):
            frames = self.videos[video]
            numbers = np.floor(moments * 100 + 1e-6).astype(np.int64) % len(frames)
            yield frames[numbers, top:bottom, left:right]


def whole(split: Split, video: int, times: NDArray[np.float64]) -> Frames:
    """(T, H, W, 3): whole frames of one video."""
    height, width = split.sizes[video]
    (frames,) = split.take(np.array([video]), times[None], np.array([[0, height, 0, width]]))
    return frames
