from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.config.full import FullConfig
from expand.config.recipes import FEW_VIDEOS, recipe_by, recipe_values


@pytest.mark.parametrize(
    ("videos", "name"), [(1, "small"), (1_827, "small"), (FEW_VIDEOS - 1, "small"), (FEW_VIDEOS, "released")]
)
def test_the_number_of_videos_chooses(videos: int, name: str) -> None:
    assert recipe_by(videos) == name


def test_the_released_recipe_is_that_of_the_defaults() -> None:
    assert recipe_values("released", 300) == {}


@given(st.integers(1, FEW_VIDEOS - 1))
def test_a_small_set_is_seen_more_often_the_smaller_it_is(videos: int) -> None:
    recipe = FullConfig(**recipe_values("small", videos))
    assert 60 <= recipe.epochs <= 300
    steps = recipe.epochs * (videos // recipe.batch_size)
    assert recipe.epochs == 300 or steps >= 6_000
    assert recipe.peak == pytest.approx(0.05)
