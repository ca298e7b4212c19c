from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.training.schedule import learning_rate_factor, released_factor


def test_warm_up_then_half_a_cosine() -> None:
    assert [learning_rate_factor(progress, 0.2) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx(
        [0.0, 0.5, 1.0, 0.5, 0.0]
    )


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert learning_rate_factor(0.0, 0.0) == 1.0


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_it_never_leaves_its_range(progress: float, warmup: float) -> None:
    assert 0 <= learning_rate_factor(progress, warmup) <= 1


def test_the_released_schedule() -> None:
    """As SlowFast computes it for X3D: 300 epochs, 35 of warm-up from 0.01 of 0.1, cosine from epoch 0 on."""

    def rate(epoch: float) -> float:
        return 0.1 * released_factor(epoch / 300, 35 / 300, 0.1)

    at_the_end_of_warm_up = 0.1 * (math.cos(math.pi * 35 / 300) + 1) / 2
    assert rate(0) == pytest.approx(0.01)
    assert rate(17.5) == pytest.approx((0.01 + at_the_end_of_warm_up) / 2)
    assert rate(35) == pytest.approx(at_the_end_of_warm_up)
    assert rate(150) == pytest.approx(0.05)
    assert rate(300) == pytest.approx(0.0)


@given(st.floats(0, 1), st.floats(0, 0.99), st.floats(0, 1))
def test_the_released_one_never_leaves_its_range(progress: float, warmup: float, start: float) -> None:
    assert 0 <= released_factor(progress, warmup, start) <= 1
