"""The times of clips' frames within a video, by arithmetic on seconds.

Shapes: B clips, T frames in a clip, V videos. A video that is shorter than a clip is looped: times beyond its
end wrap around to its start.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from expand.data.base import Split
from search_spaces.base import ClipSampling

Seconds = TypeVar("Seconds", float, NDArray[np.float64])


def slack(seconds: Seconds, sampling: ClipSampling) -> Seconds:
    """Return how many seconds a clip can be moved within a video; 0 or less where the video is looped."""
    return seconds - sampling.span_seconds


def train_starts(
    seconds: NDArray[np.float64], sampling: ClipSampling, draws: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return random starts of training clips in seconds, (B,), from `draws` uniform in [0, 1).

    A clip lies wholly within its video; in a video that has to be looped it may start at any time.
    """
    left = slack(seconds, sampling)
    return draws * np.where(left > 0, left, seconds)


def val_starts(seconds: NDArray[np.float64], sampling: ClipSampling, clips: int) -> NDArray[np.float64]:
    """Return the evenly spread starts of each video's validation clips, (V, clips), in seconds.

    The possible starts are divided into equal parts, and each clip starts in the middle of one; a single clip
    is at the centre.
    """
    left = np.maximum(0.0, slack(seconds, sampling))
    starts: NDArray[np.float64] = left[:, None] * (np.arange(clips) + 0.5) / clips
    return starts


def clip_times(starts: NDArray[np.float64], sampling: ClipSampling) -> NDArray[np.float64]:
    """Return the times of clips' frames, (B, T), in seconds; in looped videos they may exceed the end."""
    return starts[:, None] + np.arange(sampling.frames) * sampling.step_seconds


def is_looped(seconds: float, sampling: ClipSampling) -> bool:
    """Whether a video is too short for a clip."""
    return slack(seconds, sampling) <= 0


def looped(split: Split, sampling: ClipSampling) -> int:
    """Return how many videos of a split are too short for a clip."""
    return int((slack(split.seconds, sampling) <= 0).sum())
