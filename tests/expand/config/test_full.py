from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.command_settings import chosen_settings
from expand.config.data import DataConfig
from expand.config.full import FullConfig, Recipe, released_jitter
from expand.config.options import build_recipe
from expand.system.errors import UserError
from search_spaces.base import ClipSampling

S = ClipSampling(frames=13, stride=6, size=160)


def test_the_defaults_are_the_released_recipe() -> None:
    recipe = build_recipe(None, S, data=Path("videos"))
    training = recipe.training
    assert (training.epochs, training.batch_size, training.momentum, training.nesterov) == (
        300,
        128,
        0.9,
        True,
    )
    assert (training.weight_decay, training.dropout, training.precise_norm) == (5e-5, 0.5, 200)
    assert training.warmup == pytest.approx(35 / 300)
    assert training.peak == pytest.approx(0.1)
    assert training.peak * training.warmup_start == pytest.approx(0.01)
    low, high = recipe.data.jitter
    assert (low * 160, high * 160) == (182, 228)


@pytest.mark.parametrize(("size", "sides"), [(160, (182, 228)), (224, (256, 320)), (312, (356, 446))])
def test_the_released_jitter(size: int, sides: tuple[int, int]) -> None:
    low, high = released_jitter(ClipSampling(frames=16, stride=5, size=size))
    assert (low * size, high * size) == pytest.approx(sides)


def test_frames_are_kept_more_densely_than_in_a_search() -> None:
    sampling = ClipSampling(frames=16, stride=5, size=160)
    assert build_recipe(None, sampling).data.oversampling == 4
    assert build_recipe(None, sampling, settings={"data.oversampling": 3}).data.oversampling == 3


def test_the_learning_rate_goes_with_the_batch() -> None:
    assert FullConfig(batch_size=32).peak == pytest.approx(0.025)
    assert FullConfig(epochs=100, warmup_epochs=10).warmup == 0.1


def test_a_file_and_options(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("training: {epochs: 20, batch_size: 16}\ndata: {jitter: [1.0, 1.5], path: videos}\n")
    recipe = build_recipe(file, S, settings={"training.epochs": 30})
    assert (recipe.training.epochs, recipe.training.batch_size) == (30, 16)
    assert recipe.data.jitter == (1.0, 1.5)
    assert build_recipe(None, S, jitter=(1.0, 1.25)).data.jitter == (1.0, 1.25)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.multigrid=yes please", "training.multigrid"),
        ("training.epochs=0", "training.epochs: input should be greater than 0"),
        ("training.warmup_epochs=300", "warmup_epochs must be below epochs"),
        ("search.seeds=2", "unknown key search: known are data, training, run"),
        ("run.precision=float16", "run.precision"),
    ],
)
def test_mistakes(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_recipe(None, S, settings=chosen_settings([setting]))
    assert message in str(caught.value)


def test_patience_is_as_long_as_from_one_validation_to_the_next() -> None:
    with pytest.raises(UserError) as caught:
        build_recipe(None, S, settings=chosen_settings(["training.patience=5"]))
    assert str(caught.value) == (
        "options: training: patience must be at least validate_epochs (10), got 5: raise it, or validate "
        "more often."
    )


SEARCHED = DataConfig(
    format="folders", path=Path("videos"), flip=False, jitter=(1.0, 1.5), oversampling=2, val_share=0.3
)


def test_where_nothing_is_said_of_the_videos_they_are_those_of_the_search(tmp_path: Path) -> None:
    recipe = build_recipe(None, S, settings={"data.val_share": 0.1}, searched=SEARCHED)
    assert (recipe.data.format, recipe.data.path, recipe.data.flip) == ("folders", Path("videos"), False)
    assert recipe.data.val_share == 0.1
    # A full training cuts its clips out in its own way.
    assert recipe.data.jitter == build_recipe(None, S).data.jitter
    assert recipe.data.oversampling == 4

    file = tmp_path / "mine.yaml"
    file.write_text("training: {epochs: 3}")
    assert build_recipe(file, S, searched=SEARCHED).data.path == Path("videos")


def test_videos_that_are_named_are_taken_instead_of_those_of_the_search(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {path: others}")
    for recipe in (
        build_recipe(None, S, data=Path("others"), searched=SEARCHED),
        build_recipe(file, S, searched=SEARCHED),
    ):
        assert (recipe.data.path, recipe.data.flip, recipe.data.val_share) == (Path("others"), True, None)


def test_what_decides_leaves_out_places() -> None:
    one = Recipe.model_validate({"data": {"path": "a"}, "run": {"threads": 1}})
    other = Recipe.model_validate({"data": {"path": "b", "allow_outside": True}, "run": {"threads": 2}})
    assert one.deciding() == other.deciding()
    assert one.deciding() != Recipe.model_validate({"training": {"seed": 1}}).deciding()
