from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from expand.data.labels import OneLabel, Segment, SeveralLabels

SEGMENTS = (
    (Segment(label=0, start=1.0, end=2.0), Segment(label=2)),
    (),
    (Segment(label=1, start=0.0, end=0.5), Segment(label=1, start=3.0, end=4.0)),
)
SECONDS = np.array([4.0, 4.0, 4.0])


def several(*, per_frame: bool = False, swaps: tuple[int, ...] | None = None) -> SeveralLabels:
    return SeveralLabels(segments=SEGMENTS, seconds=SECONDS, classes=3, per_frame=per_frame, swaps=swaps)


def of(
    labels: SeveralLabels, video: int, times: list[float], mirrored: bool = False
) -> list[list[float]] | list[float]:
    (found,) = labels(np.array([video]), np.array([times]), np.array([mirrored])).tolist()
    return found  # type: ignore[no-any-return]


def test_a_clip_shows_what_one_of_its_frames_shows() -> None:
    assert of(several(), 0, [0.0, 0.5]) == [0, 0, 1]
    assert of(several(), 0, [0.5, 1.0]) == [1, 0, 1]
    assert of(several(), 1, [0.0, 2.0]) == [0, 0, 0]
    assert of(several(), 2, [0.5, 2.0]) == [0, 1, 0]


def test_each_frame_has_its_own() -> None:
    frames = several(per_frame=True)
    assert of(frames, 0, [0.9, 1.0, 2.0, 2.1]) == [[0, 0, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]]


def test_times_beyond_the_end_go_round() -> None:
    assert of(several(per_frame=True), 0, [5.5, 6.5]) == [[1, 0, 1], [0, 0, 1]]


def test_a_mirrored_clip_shows_the_mirrored_classes() -> None:
    swapped = several(swaps=(2, 1, 0), per_frame=True)
    assert of(swapped, 0, [0.0, 1.5], mirrored=True) == [[1, 0, 0], [1, 0, 1]]
    assert of(swapped, 0, [0.0, 1.5]) == [[0, 0, 1], [1, 0, 1]]
    one = OneLabel(labels=np.array([0, 1, 2]), swaps=(2, 1, 0))
    videos, times = np.array([0, 0, 1]), np.zeros((3, 1))
    assert one(videos, times, np.array([True, False, True])).tolist() == [2, 0, 1]


def test_what_videos_show_somewhere() -> None:
    assert several().of_videos().tolist() == [[True, False, True], [False] * 3, [False, True, False]]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=9), st.integers(0, 2))
def test_a_clip_shows_all_that_its_frames_show(times: list[float], video: int) -> None:
    frames = np.array(of(several(per_frame=True), video, times))
    assert of(several(), video, times) == frames.max(axis=0).tolist()
