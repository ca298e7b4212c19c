"""The frames that a cache must hold: their size, and their times in the videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from expand.config.data import DataConfig
from expand.data.base import SplitName, VideoInfo
from expand.data.sampling import clip_times, val_starts
from expand.data.shrinking import scaled
from search_spaces.base import ClipSampling, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class EvenClips:
    """A number of clips spread evenly over each video, as in a validation or a test."""

    sampling: ClipSampling
    clips: int

    def times(self, seconds: float) -> NDArray[np.float64]:
        """Return the times of the clips' frames in a video of `seconds`: (clips · T,), in seconds."""
        starts = val_starts(np.array([seconds]), self.sampling, self.clips)
        return np.mod(clip_times(starts.ravel(), self.sampling), seconds).ravel()


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheNeeds:
    """The frames that a run may read of its videos.

    Attributes:
        short_side: the largest short side of a frame, in pixels.
        fps: frames kept per second of videos whose clips may start at any time: those nearest to the moments
            k / fps, over the whole video.
        views: the clips that validation and test take of a video, if they are known; then only the frames of
            these clips are kept of videos outside of training. If empty, all videos are kept at `fps`.
    """

    short_side: int
    fps: float
    views: tuple[EvenClips, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("short_side", "fps"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}.")

    def moments(self, split: SplitName, seconds: float) -> NDArray[np.float64]:
        """Return the moments whose frames are kept of a video of `seconds`: (M,), in seconds, rising."""
        if self._on_grid(split):
            return np.arange(grid_count(seconds, self.fps)) / self.fps
        return np.unique(np.concatenate([clips.times(seconds) for clips in self.views]))

    def most_frames(self, split: SplitName, info: VideoInfo) -> int:
        """Return an upper bound for the number of frames kept of a video, without computing its moments."""
        if self._on_grid(split):
            return min(info.frames, grid_count(info.seconds, self.fps))
        return min(info.frames, sum(one.clips * one.sampling.frames for one in self.views))

    def estimate_bytes(self, split: SplitName, info: VideoInfo) -> int:
        """Return the bytes of a video's kept frames as raw pixels; as exact as `info` is."""
        width, height = scaled(info.width, info.height, self.short_side)
        return self.most_frames(split, info) * width * height * 3

    def deciding(self) -> Json:
        """Return all values that the kept frames depend on, as JSON."""
        views = [[list(astuple(one.sampling)), one.clips] for one in self.views]
        return {"short_side": self.short_side, "fps": float(self.fps), "views": views}

    def _on_grid(self, split: SplitName) -> bool:
        return split == "train" or not self.views


def cache_needs(
    config: DataConfig, clips: Sequence[ClipSampling], views: Sequence[EvenClips] = ()
) -> CacheNeeds:
    """Return what a cache must hold for training clips with any of these samplings, and for `views`.

    `data.oversampling` frames are kept per stride of the clips with the highest frame rate. A frame of a clip
    is then off by at most half a step of this grid: a quarter of the stride of the fastest clips in a search,
    an eighth in the training of one network. Slower clips, those of small networks, are off by the same time
    at most, which is a smaller part of their stride. The grid is no finer than the rate that clips count in,
    30 frames a second. What coarser and finer grids cost is in results/README.md.
    """
    size = max(clip.size for clip in (*clips, *(one.sampling for one in views)))
    fastest = max(1 / clip.step_seconds for clip in clips)
    return CacheNeeds(
        short_side=round(size * config.jitter[1]),
        fps=min(clips[0].fps, config.oversampling * fastest),
        views=tuple(views),
    )


def grid_count(seconds: float, fps: float) -> int:
    """Return how many moments k / fps cover a video of `seconds`; the last is at its end or beyond."""
    return math.ceil(seconds * fps - 1e-6) + 1
