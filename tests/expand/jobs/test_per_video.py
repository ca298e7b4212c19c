from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from expand.jobs.per_video import VideoScores, pack_scores, unpack_scores


@given(arrays(np.float16, st.integers(0, 50), elements=st.floats(0, 1, width=16) | st.just(np.nan)))
def test_scores_come_back(scores: VideoScores) -> None:
    np.testing.assert_array_equal(unpack_scores(pack_scores(scores)), scores)


def test_top1_takes_about_a_bit_a_video() -> None:
    right = (np.random.default_rng(0).random(20_000) < 0.7).astype(np.float16)
    text = pack_scores(right)
    assert len(text) < 20_000 / 8 * 2.5
    assert text == pack_scores(right.copy())
