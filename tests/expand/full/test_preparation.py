from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.full import released_jitter
from expand.config.recipes import FEW_VIDEOS
from expand.full.preparation import Chosen, choose, listed_schedule, step_remarks
from tests.expand.models import write_tiny

CLASSES = ("left", "right")


def chosen(tmp_path: Path, videos: int = 64, **settings: object) -> Chosen:
    model = write_tiny(tmp_path / "tiny.yaml", CLASSES)
    values = {f"training.{name}": value for name, value in settings.items()}
    values |= {"data.synthetic.train": videos, "data.synthetic.val": 12}
    return choose(str(model), None, data=Path("synthetic"), settings=values)


def test_few_videos_have_the_recipe_for_few(tmp_path: Path) -> None:
    one = chosen(tmp_path)
    training = one.recipe.training
    assert (training.recipe, training.epochs, training.batch_size) == ("small", 300, 16)
    assert one.recipe.data.jitter == (1.0, 1.25)
    assert one.remarks == (
        "recipe    small, 64 training videos are fewer than 20,000: 300 epochs, 16 clips in a step, "
        "rate 0.05, dropout 0",
    )


def test_many_videos_have_the_released_one(tmp_path: Path) -> None:
    one = chosen(tmp_path, videos=FEW_VIDEOS)
    training = one.recipe.training
    assert (training.recipe, training.epochs, training.batch_size) == ("released", 300, 128)
    assert one.recipe.data.jitter == released_jitter(one.model.sampling)
    assert "20,000 training videos are not fewer than 20,000" in one.remarks[0]


def test_a_recipe_that_is_named_is_taken(tmp_path: Path) -> None:
    one = chosen(tmp_path, recipe="released", videos=600)
    assert (one.recipe.training.recipe, one.recipe.training.batch_size) == ("released", 128)
    (line,) = one.remarks
    assert line.startswith("recipe    released, as configured: 300 epochs, 128 clips in a step, rate 0.1")


@pytest.mark.parametrize(("recipe", "videos", "batch"), [("released", 100, 16), ("auto", 32, 8)])
def test_batches_follow_the_number_of_videos(tmp_path: Path, recipe: str, videos: int, batch: int) -> None:
    one = chosen(tmp_path, recipe=recipe, videos=videos)
    assert one.recipe.training.batch_size == batch


def test_a_batch_of_more_clips_than_videos_is_made_smaller_and_both_are_told(tmp_path: Path) -> None:
    one = chosen(tmp_path, videos=32, batch_size=128, epochs=1)
    training = one.recipe.training
    assert training.batch_size == 32
    assert training.peak == pytest.approx(0.1)
    assert one.remarks == (
        "recipe    small, 32 training videos are fewer than 20,000: 1 epoch, 32 clips in a step, rate 0.1, "
        "dropout 0",
        "batch     32 clips in a step instead of 128, as there are 32 training videos",
    )
    assert step_remarks(training, listed_schedule(one), 32) == (
        "steps     1 an epoch, 1 in all",
        "warning   32 clips in a step leave an epoch of 32 videos fewer than 4 steps: lower --batch-size, "
        "raise --epochs, or add videos",
    )


def test_steps_are_told_before_the_first(tmp_path: Path) -> None:
    one = chosen(tmp_path, videos=90, epochs=100)
    assert step_remarks(one.recipe.training, listed_schedule(one), 90) == (
        "steps     5.62 an epoch, 562 in all",
    )


@pytest.mark.parametrize("recipe", ["auto", "small", "released"])
def test_settings_that_are_given_stay(tmp_path: Path, recipe: str) -> None:
    training = chosen(tmp_path, recipe=recipe, epochs=7, dropout=0.3).recipe.training
    assert (training.epochs, training.dropout) == (7, 0.3)
