"""How much of a batch a full training and a test take at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.command_settings import chosen_settings
from expand.config.options import build_recipe
from expand.data.sources import open_source
from expand.full import batch_parts
from expand.full.batch_parts import training_part, views_at_a_time
from expand.system.errors import UserError
from expand.training.footprint import PLAIN
from expand.training.processes import ALONE
from expand.weights.models import find_model

MB = 10**6


def part(
    monkeypatch: pytest.MonkeyPatch, room: int, *settings: str, notes: list[str] | None = None
) -> int | None:
    monkeypatch.setattr(batch_parts, "free_memory", lambda *_, **__: room)
    monkeypatch.setattr(batch_parts, "way_of", lambda _: PLAIN)
    model = find_model("x3d-xs", None)
    recipe = build_recipe(None, model.sampling, data=Path("synthetic"), settings=chosen_settings(settings))
    said = notes if notes is not None else []
    return training_part(model, recipe, open_source(recipe.data), ALONE, "cpu", said.append)


def test_a_batch_that_fits_is_taken_as_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert part(monkeypatch, 10**12) is None
    assert part(monkeypatch, 10**12, "training.micro_batch=32") == 32


def test_one_that_does_not_fit_is_halved_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    assert part(monkeypatch, 2500 * MB, "training.batch_size=64", notes=notes) == 8
    assert notes == [
        "memory    8 clips at a time, as 64 would take 9.05 GB of the 2.5 GB available: gradients are "
        "added up, and BatchNorm normalises 8 clips together"
    ]
    assert part(monkeypatch, 1500 * MB, "training.batch_size=64", "training.micro_batch=24") == 6


def test_a_training_of_which_not_two_clips_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        part(monkeypatch, 100 * MB)
    assert str(caught.value) == (
        "a training must have memory for 2 clips at a time, which take 1.09 GB with 128 in a step, but "
        "100 MB are available: lower training.batch_size, or free memory."
    )


def test_multigrid_takes_its_steps_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        part(monkeypatch, 2500 * MB, "training.multigrid=true")
    assert str(caught.value) == (
        "--multigrid must have memory for a whole step, which takes 18.1 GB, but 2.5 GB are available: lower "
        "training.batch_size, or leave --multigrid out."
    )


def test_views_are_fewer_at_a_time_where_memory_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch_parts, "way_of", lambda _: PLAIN)
    model = find_model("x3d-xs", None)
    monkeypatch.setattr(batch_parts, "free_memory", lambda _: 10**12)
    assert views_at_a_time(model, 182, 64, 1) == 64
    monkeypatch.setattr(batch_parts, "free_memory", lambda _: 500 * MB)
    assert views_at_a_time(model, 182, 64, 1) == 8
    assert capsys.readouterr().err == (
        "memory    8 views at a time, as 64 would take 3.65 GB of the 500 MB available\n"
    )
