"""When the frames of a clip are taken: pure arithmetic on seconds.

B clips, T frames in a clip, V videos. A video that is shorter than a clip is looped: times beyond its end
wrap round.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from expand.data.base import Split
from search_spaces.base import ClipSampling

Seconds = TypeVar("Seconds", float, NDArray[np.float64])


def room(seconds: Seconds, sampling: ClipSampling) -> Seconds:
    """How far a clip can be moved within a video; 0 or less where the video has to be looped."""
    return seconds - sampling.span_seconds


def train_starts(
    seconds: NDArray[np.float64], sampling: ClipSampling, draws: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(B,) where training clips start, in seconds; `draws` are uniform in [0, 1).

    Anywhere that keeps the clip within the video; anywhere at all in a video that has to be looped.
    """
    left = room(seconds, sampling)
    return draws * np.where(left > 0, left, seconds)


def val_starts(seconds: NDArray[np.float64], sampling: ClipSampling, clips: int) -> NDArray[np.float64]:
    """(V, clips) where each video's validation clips start: the middles of equal parts; one is the centre."""
    left = np.maximum(0.0, room(seconds, sampling))
    starts: NDArray[np.float64] = left[:, None] * (np.arange(clips) + 0.5) / clips
    return starts


def clip_times(starts: NDArray[np.float64], sampling: ClipSampling) -> NDArray[np.float64]:
    """(B, T) when the frames of clips are, in seconds; may lie beyond the end of a video that is looped."""
    return starts[:, None] + np.arange(sampling.frames) * sampling.step_seconds


def is_looped(seconds: float, sampling: ClipSampling) -> bool:
    """Whether a video is too short for a clip."""
    return room(seconds, sampling) <= 0


def looped(split: Split, sampling: ClipSampling) -> int:
    """How many videos of a split are too short for a clip."""
    return int((room(split.seconds, sampling) <= 0).sum())
