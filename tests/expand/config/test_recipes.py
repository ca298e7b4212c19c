from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.config.full import FullConfig
from expand.config.recipes import FEW_STEPS, FEW_VIDEOS, batch_for, fitting_batch, recipe_by, recipe_values


@pytest.mark.parametrize(
    ("videos", "name"), [(1, "small"), (1_827, "small"), (FEW_VIDEOS - 1, "small"), (FEW_VIDEOS, "released")]
)
def test_the_number_of_videos_chooses(videos: int, name: str) -> None:
    assert recipe_by(videos) == name


def test_the_released_recipe_is_that_of_the_defaults_where_videos_suffice() -> None:
    assert FullConfig(**recipe_values("released", 512)) == FullConfig()
    assert FullConfig(**recipe_values("released", 511)) == FullConfig(batch_size=64)


@pytest.mark.parametrize(
    ("videos", "processes", "batch"), [(512, 1, 128), (511, 1, 64), (100, 1, 16), (5, 1, 8), (5, 16, 32)]
)
def test_a_batch_leaves_a_few_steps_an_epoch(videos: int, processes: int, batch: int) -> None:
    assert batch_for(128, videos, processes) == batch
    assert batch <= max(8, 2 * processes) or videos >= FEW_STEPS * batch


@pytest.mark.parametrize(
    ("batch", "videos", "processes", "fitting"),
    [(16, 16, 1, 16), (16, 15, 1, 15), (16, 15, 4, 12), (16, 5, 4, 8), (4, 1, 1, 2)],
)
def test_a_batch_holds_no_video_twice(batch: int, videos: int, processes: int, fitting: int) -> None:
    assert fitting_batch(batch, videos, processes) == fitting


@given(st.integers(1, FEW_VIDEOS - 1))
def test_a_small_set_is_seen_more_often_the_smaller_it_is(videos: int) -> None:
    recipe = FullConfig(**recipe_values("small", videos))
    assert 60 <= recipe.epochs <= 300
    steps = recipe.epochs * (videos // recipe.batch_size)
    assert recipe.epochs == 300 or steps >= 6_000
    assert recipe.peak == pytest.approx(0.4 * recipe.batch_size / 128)
