from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.full import released_jitter
from expand.config.recipes import FEW_VIDEOS
from expand.full.preparation import Chosen, choose
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
    assert one.why == (
        "recipe    small, 64 training videos are fewer than 20,000: 300 epochs, 16 clips in a step, "
        "rate 0.05, dropout 0"
    )


def test_many_videos_have_the_released_one(tmp_path: Path) -> None:
    one = chosen(tmp_path, videos=FEW_VIDEOS)
    training = one.recipe.training
    assert (training.recipe, training.epochs, training.batch_size) == ("released", 300, 128)
    assert one.recipe.data.jitter == released_jitter(one.model.sampling)
    assert "20,000 training videos are not fewer than 20,000" in one.why


def test_a_recipe_that_is_named_is_taken(tmp_path: Path) -> None:
    one = chosen(tmp_path, recipe="released")
    assert (one.recipe.training.recipe, one.recipe.training.batch_size) == ("released", 128)
    assert one.why.startswith("recipe    released, as configured: 300 epochs, 128 clips in a step, rate 0.1")


@pytest.mark.parametrize("recipe", ["auto", "small", "released"])
def test_settings_that_are_given_stay(tmp_path: Path, recipe: str) -> None:
    training = chosen(tmp_path, recipe=recipe, epochs=7, dropout=0.3).recipe.training
    assert (training.epochs, training.dropout) == (7, 0.3)
