from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.config.data import DataConfig
from expand.data.base import VideoInfo
from expand.data.cache_needs import CacheNeeds, EvenClips, cache_needs
from expand.data.nearest import nearest_frames
from search_spaces.base import ClipSampling

SLOW = ClipSampling(frames=2, stride=48, size=32)
FAST = ClipSampling(frames=13, stride=6, size=40)


def info(seconds: float, fps: float = 30.0) -> VideoInfo:
    return VideoInfo(seconds=seconds, frames=round(seconds * fps), fps=fps, width=176, height=144)


def test_the_centre_clip_of_three_seconds_is_asked_for_at_its_own_times() -> None:
    needs = cache_needs(DataConfig(), [SLOW], [EvenClips(sampling=SLOW, clips=1)])
    assert needs.moments("val", 3.0) == pytest.approx([0.7, 2.3])
    assert needs.moments("test", 3.0) == pytest.approx([0.7, 2.3])
    assert needs.moments("train", 3.0) == pytest.approx(np.arange(5) / 1.25)  # to the end


def test_several_tests_ask_for_their_clips_together() -> None:
    views = [EvenClips(sampling=SLOW, clips=1), EvenClips(sampling=SLOW, clips=10)]
    moments = cache_needs(DataConfig(), [SLOW], views).moments("val", 3.0)
    assert len(moments) == 22
    assert (np.diff(moments) > 0).all()


def test_clips_of_a_short_video_wrap_round() -> None:
    clips = EvenClips(sampling=SLOW, clips=1)
    assert clips.times(1.0) == pytest.approx([0.0, 0.6])


def test_the_grid_is_finer_than_the_fastest_clips_and_no_finer_than_the_clips_count_in() -> None:
    assert cache_needs(DataConfig(), [SLOW]).fps == 1.25
    assert cache_needs(DataConfig(), [SLOW, FAST]).fps == 10
    assert cache_needs(DataConfig(oversampling=4), [SLOW, FAST]).fps == 20
    assert cache_needs(DataConfig(oversampling=100), [SLOW, FAST]).fps == 30
    assert cache_needs(DataConfig(jitter=(1, 1.5)), [SLOW, FAST]).short_side == 60


@given(st.floats(0.01, 300), st.floats(1, 60))
def test_no_more_frames_are_expected_than_moments_or_frames(seconds: float, fps: float) -> None:
    views = [EvenClips(sampling=FAST, clips=3)]
    for needs in (CacheNeeds(short_side=40, fps=7), cache_needs(DataConfig(), [FAST], views)):
        for split in ("train", "val"):
            most = needs.most_frames(split, info(seconds, fps))
            assert most <= max(1, round(seconds * fps))
            if split == "train" or not needs.views:
                assert most <= len(needs.moments(split, seconds))


@given(st.floats(0.05, 20), st.floats(0.5, 30), st.floats(0, 1))
def test_every_moment_has_a_frame_within_half_a_step_of_the_grid(
    seconds: float, fps: float, share: float
) -> None:
    times = np.arange(max(1, round(seconds * 30))) / 30
    ends = float(times[-1]) + 1 / 30
    kept = times[nearest_frames(times, ends, CacheNeeds(short_side=40, fps=fps).moments("val", ends))[0]]
    asked = times[min(len(times) - 1, int(share * len(times)))]  # a frame that a clip may ask for
    assert np.abs(kept - asked).min() <= 1 / (2 * fps) + 1 / 60 + 1e-5  # and the grid's own rounding


def test_the_size_is_that_of_the_frames_kept() -> None:
    needs = CacheNeeds(short_side=72, fps=10)
    assert needs.estimate_bytes("train", info(2.0)) == 21 * 88 * 72 * 3
    assert needs.estimate_bytes("train", info(2.0, fps=5)) == 10 * 88 * 72 * 3
