from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.data.sampling import clip_times, is_looped, looped, train_starts, val_starts
from search_spaces.base import ClipSampling
from tests.expand.data.splits import ArraySplit

Samplings = st.builds(
    ClipSampling, frames=st.integers(1, 16), stride=st.integers(1, 48), size=st.just(64), fps=st.just(30.0)
)
Seconds = st.floats(0.02, 20)
Draws = st.floats(0, 1, exclude_max=True)


def clip(frames: int, stride: int) -> ClipSampling:
    return ClipSampling(frames=frames, stride=stride, size=64)


@given(seconds=Seconds, sampling=Samplings, draw=Draws)
def test_a_training_clip_lies_within_its_video_unless_looped(
    seconds: float, sampling: ClipSampling, draw: float
) -> None:
    (times,) = clip_times(train_starts(np.array([seconds]), sampling, np.array([draw])), sampling)
    assert len(times) == sampling.frames
    assert 0 <= times[0] < seconds
    assert is_looped(seconds, sampling) or times[-1] <= seconds + 1e-9


@given(seconds=Seconds, sampling=Samplings, clips=st.integers(1, 10))
def test_validation_clips_are_spread_evenly(seconds: float, sampling: ClipSampling, clips: int) -> None:
    (starts,) = val_starts(np.array([seconds]), sampling, clips)
    assert len(starts) == clips
    assert (starts >= 0).all()
    assert is_looped(seconds, sampling) or (starts + sampling.span_seconds < seconds).all()
    assert np.allclose(np.diff(starts), starts[0] * 2)


def test_one_validation_clip_is_the_centre() -> None:
    seconds = np.array([5.0, 3.0])
    assert val_starts(seconds, clip(4, 12), 1)[:, 0] == pytest.approx([(5 - 1.2) / 2, (3 - 1.2) / 2])
    assert val_starts(seconds, clip(1, 48), 1)[:, 0] == pytest.approx([2.5, 1.5])


def test_times_are_strides_apart() -> None:
    times = clip_times(np.array([0.5, 2.0]), clip(4, 12))
    assert times == pytest.approx(np.array([[0.5, 0.9, 1.3, 1.7], [2.0, 2.4, 2.8, 3.2]]))


@given(draw=Draws)
def test_a_clip_of_one_frame_is_drawn_from_the_whole_video(draw: float) -> None:
    assert train_starts(np.array([8.0]), clip(1, 48), np.array([draw])) == 8.0 * draw


def test_videos_as_short_as_a_clip_are_counted() -> None:
    split = ArraySplit.of_seconds([1.0, 1.2, 1.21, 3.0])
    assert looped(split, clip(4, 12)) == 2
    assert looped(split, clip(1, 48)) == 0
