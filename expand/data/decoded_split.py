"""Decoded videos in memory, as a split that clips are made of.

Shapes: V videos, B clips, T frames in a clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from expand.data.base import Decoded, Frames


class DecodedSplit:
    """A `Split` of decoded videos, whose labels are all 0, since nobody knows them."""

    def __init__(self, videos: Sequence[Decoded]) -> None:
        self._videos = videos

    @property
    def labels(self) -> NDArray[np.int64]:
        """(V,) zeros."""
        return np.zeros(len(self._videos), np.int64)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """See `Split.seconds`."""
        return np.array([video.info.seconds for video in self._videos])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """See `Split.sizes`."""
        return np.array([video.frames.shape[1:3] for video in self._videos], np.int64)

    def take(
        self, videos: NDArray[np.int64], times: NDArray[np.float64], windows: NDArray[np.int64]
    ) -> Iterator[Frames]:
        """See `Split.take`."""
        for index, moments, window in zip(videos.tolist(), times, windows.tolist(), strict=True):
            video = self._videos[index]
            top, bottom, left, right = window
            chosen = video.nearest(np.mod(moments, video.info.seconds))
            yield video.frames[chosen, top:bottom, left:right]
