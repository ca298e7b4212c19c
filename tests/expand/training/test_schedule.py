from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.training.schedule import learning_rate_factor


def test_warm_up_then_half_a_cosine() -> None:
    assert [learning_rate_factor(progress, 0.2) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx(
        [0.0, 0.5, 1.0, 0.5, 0.0]
    )


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert learning_rate_factor(0.0, 0.0) == 1.0


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_it_never_leaves_its_range(progress: float, warmup: float) -> None:
    assert 0 <= learning_rate_factor(progress, warmup) <= 1
