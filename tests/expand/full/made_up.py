"""Folders of full trainings whose validations are made up: nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expand.config.full import Recipe
from expand.full.best import Validation
from expand.full.folder import TrainingFolder
from expand.weights.models import TRAINED, read_model
from tests.expand.models import write_tiny

CLASSES = ("left", "right")


def rows(scores: Sequence[float], every: float = 10.0) -> list[Validation]:
    """Validations with these top-1s, and training clips that get better all the time."""
    return [
        {
            "step": 40.0 * number,
            "epochs": every * number,
            "learning_rate": 0.05 / number,
            "train_loss": 1 / number,
            "train_top1": 1 - 0.5 / number,
            "val_top1": score,
            "val_top5": 1.0,
            "val_mean_class_accuracy": score,
            "val_loss": 1.5 - score,
            "seconds": 61.0 * number,
        }
        for number, score in enumerate(scores, start=1)
    ]


def made_up_training(
    folder: Path, history: Sequence[Validation], *, finished: bool = True, **training: Any
) -> Path:
    """A training of a small network with these validations; `training` are settings of its recipe."""
    model = read_model(write_tiny(folder.parent / "tiny.yaml", CLASSES))
    recipe = Recipe.model_validate({"training": {"epochs": 60, "batch_size": 8, **training}})
    data = {"name": "hands", "train": 32, "val": 15, "classes": list(CLASSES)}
    with TrainingFolder.made(folder, recipe, model, {"data": data, "processes": 1}) as made:
        made.write_history(history)
        if finished:
            (made.folder / TRAINED).write_text((made.folder / "network.yaml").read_text())
    return folder
