from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from expand.data.nearest import nearest_frames

Times = NDArray[np.float64]


def chosen(times: list[float], moments: list[float], seconds: float | None = None) -> list[int]:
    ends = seconds if seconds is not None else times[-1] + 0.1
    return [int(frame) for frame in nearest_frames(np.array(times), ends, np.array(moments))[0]]


def test_a_constant_rate_gives_the_nearest_frame() -> None:
    times = [k / 10 for k in range(10)]
    assert chosen(times, [0.0, 0.04, 0.06, 0.31, 0.99]) == [0, 1, 3, 9]


def test_a_frame_that_is_nearest_to_several_moments_is_there_once() -> None:
    assert chosen([0.0, 0.1, 0.2], [0.0, 0.01, 0.02, 0.2]) == [0, 2]


def test_a_slide_stays_until_the_next_is_about_to_appear() -> None:
    times = [0.0, 0.1, 0.2, 4.0, 4.1]  # a usual distance of a tenth of a second
    assert chosen(times, [3.0, 3.94]) == [2]
    assert chosen(times, [3.96]) == [3]


def test_spans_are_where_a_frame_is_the_nearest_of_all_frames() -> None:
    frames, spans = nearest_frames(
        np.array([0.0, 0.1, 0.2, 0.3]), 0.4, np.array([0.0, 0.2, 0.39]), tolerance=0
    )
    assert frames.tolist() == [0, 2, 3]
    assert spans == pytest.approx(np.array([[0, 0.05], [0.15, 0.25], [0.25, 0.4]]))


def test_one_frame_is_the_nearest_to_everything() -> None:
    frames, spans = nearest_frames(np.array([0.0]), 5.0, np.array([0.0, 4.9]))
    assert (frames.tolist(), spans.tolist()) == ([0], [[0.0, 5.0]])


@given(
    st.lists(st.floats(0.01, 3), max_size=20),
    st.lists(st.floats(0, 60), min_size=1, max_size=20),
)
def test_a_frame_is_never_further_than_half_a_gap_before_it_appears(
    gaps: list[float], moments: list[float]
) -> None:
    times = np.concatenate(([0.0], np.cumsum(gaps)))
    frames, spans = nearest_frames(times, float(times[-1]) + 0.1, np.array(moments), tolerance=0)
    assert (np.diff(frames) > 0).all()
    assert (spans[:, 0] <= spans[:, 1]).all()
    usual = np.median(gaps) if gaps else 0.0
    for moment in moments:
        place = np.searchsorted(spans[1:, 0], moment, side="right")
        early = times[frames[place]] - moment
        assert early <= usual / 2 + 1e-9  # never shown long before it appears
