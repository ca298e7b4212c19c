"""What a cache must hold: how large the frames are, and when they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from expand.config.search import DataConfig
from expand.data.base import SplitName, VideoInfo
from expand.data.sampling import clip_times, val_starts
from expand.data.shrinking import scaled
from search_spaces.base import ClipSampling, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class EvenClips:
    """So many clips of one kind, spread evenly over each video, as a test or a validation sees them."""

    sampling: ClipSampling
    clips: int

    def times(self, seconds: float) -> NDArray[np.float64]:
        """(clips · T,) when their frames are, in seconds from the start of a video of `seconds`."""
        starts = val_starts(np.array([seconds]), self.sampling, self.clips)
        return np.mod(clip_times(starts.ravel(), self.sampling), seconds).ravel()


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheNeeds:
    """What a run can ask of its videos.

    Attributes:
        short_side: the largest short side, in pixels.
        fps: frames kept a second, where clips may start anywhere: those nearest to k / fps seconds, from the
            first to the last one.
        views: the clips that are seen of videos that nothing is trained on, where these are known: of these
            videos just their frames are kept. Empty: those videos are kept at `fps` too.
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
        """(M,) when frames of a video of `seconds` are wanted, in seconds from its start, rising."""
        if self._on_grid(split):
            return np.arange(grid_count(seconds, self.fps)) / self.fps
        return np.unique(np.concatenate([clips.times(seconds) for clips in self.views]))

    def most_frames(self, split: SplitName, info: VideoInfo) -> int:
        """How many frames are kept of a video at most; without laying out its moments."""
        if self._on_grid(split):
            return min(info.frames, grid_count(info.seconds, self.fps))
        return min(info.frames, sum(one.clips * one.sampling.frames for one in self.views))

    def estimate_bytes(self, split: SplitName, info: VideoInfo) -> int:
        """Bytes of the frames that are kept of a video, raw; from headers, as exact as they are."""
        width, height = scaled(info.width, info.height, self.short_side)
        return self.most_frames(split, info) * width * height * 3

    def deciding(self) -> Json:
        """What decides the frames, as JSON values."""
        views = [[list(astuple(one.sampling)), one.clips] for one in self.views]
        return {"short_side": self.short_side, "fps": float(self.fps), "views": views}

    def _on_grid(self, split: SplitName) -> bool:
        return split == "train" or not self.views


def cache_needs(
    config: DataConfig, clips: Sequence[ClipSampling], views: Sequence[EvenClips] = ()
) -> CacheNeeds:
    """What a cache must hold for clips of these kinds that may start anywhere, and for `views`.

    `data.oversampling` frames are kept for each frame of the fastest clips, so that a frame of a clip is at
    most half of that part of these clips' stride away from its time: a quarter of the stride in a search, an
    eighth in the training of one network. Slower clips, which are those of small networks, are further off by
    the same seconds at most, so by a smaller part of their stride. Videos have no more frames than they have,
    and the grid is no finer than clips count in: 30 frames a second. What coarser and finer grids cost is in
    results/README.md.
    """
    size = max(clip.size for clip in (*clips, *(one.sampling for one in views)))
    fastest = max(1 / clip.step_seconds for clip in clips)
    return CacheNeeds(
        short_side=round(size * config.jitter[1]),
        fps=min(clips[0].fps, config.oversampling * fastest),
        views=tuple(views),
    )


def grid_count(seconds: float, fps: float) -> int:
    """How many moments k / fps it takes to cover a video of `seconds`: the last is its end, or beyond it."""
    return math.ceil(seconds * fps - 1e-6) + 1
