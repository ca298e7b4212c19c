"""When the frames of a clip are taken: pure arithmetic on seconds.

T frames in a clip. A video that is shorter than a clip is looped: times beyond its end wrap round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expand.data.base import Split
from search_spaces.base import ClipSampling


def room(seconds: float, sampling: ClipSampling) -> float:
    """How far a clip can be moved within a video; 0 or less where the video has to be looped."""
    return seconds - sampling.span_seconds


def train_start(seconds: float, sampling: ClipSampling, draw: float) -> float:
    """Where a training clip starts, in seconds; `draw` is uniform in [0, 1).

    Anywhere that keeps the clip within the video; anywhere at all in a video that has to be looped.
    """
    left = room(seconds, sampling)
    return draw * (left if left > 0 else seconds)


def val_starts(seconds: float, sampling: ClipSampling, clips: int) -> NDArray[np.float64]:
    """Where `clips` validation clips start: the middles of equal parts, so one clip is the centre."""
    left = max(0.0, room(seconds, sampling))
    return left * (np.arange(clips) + 0.5) / clips


def clip_times(start: float, sampling: ClipSampling) -> NDArray[np.float64]:
    """(T,) when the frames of a clip are, in seconds; may lie beyond the end of a video that is looped."""
    return np.asarray(start + np.arange(sampling.frames) * sampling.step_seconds, dtype=np.float64)


def is_looped(seconds: float, sampling: ClipSampling) -> bool:
    """Whether a video is too short for a clip."""
    return room(seconds, sampling) <= 0


def looped(split: Split, sampling: ClipSampling) -> int:
    """How many videos of a split are too short for a clip."""
    return sum(is_looped(split.seconds(video), sampling) for video in range(len(split.labels)))
