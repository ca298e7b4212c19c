"""A full training as its folder tells it, finished or not: for figures and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expand.config.full import Recipe
from expand.full.best import Validation, best_row
from expand.full.folder import TrainingFolder
from expand.full.scores import SCORES
from expand.weights.models import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """A full training so far.

    Attributes:
        folder: its folder.
        recipe: its configuration.
        network: the network that is trained.
        data: what its model file says of the videos, as from `Videos.card`.
        rows: the validations so far.
        finished: whether the trained model has been written.
    """

    folder: Path
    recipe: Recipe
    network: Model
    data: Mapping[str, Any]
    rows: tuple[Validation, ...]
    finished: bool

    @property
    def name(self) -> str:
        return self.folder.absolute().name

    @property
    def done(self) -> float:
        """The epochs by the last validation."""
        return self.rows[-1]["epochs"] if self.rows else 0.0

    @property
    def best(self) -> Validation | None:
        """The best validation so far."""
        return best_row(self.rows) if self.rows else None

    @property
    def kept(self) -> Validation | None:
        """The validation whose weights the trained network has, or would have if nothing came after it."""
        if not self.rows:
            return None
        return self.best if self.recipe.training.keep == "best" else self.rows[-1]

    @property
    def score(self) -> str:
        """The name of the score that tells which validation is the best, such as `top1`."""
        return "mean_average_precision" if self.network.several_labels else "top1"

    @property
    def score_words(self) -> str:
        """The score as figures and tables call it."""
        return SCORES[self.score]

    @property
    def state(self) -> str:
        """How far an unfinished training is; empty if it is finished."""
        if self.finished:
            return ""
        asked = self.recipe.training.epochs
        return f"{self.name} is unfinished: {self.done:g} of {asked:g} epochs by the last validation."


def read_training(folder: Path) -> TrainingRecord:
    """The training in a folder.

    Raises:
        UserError: a file in it is missing or damaged.
    """
    place = TrainingFolder(folder)
    return TrainingRecord(
        folder=folder,
        recipe=place.recipe(),
        network=place.network(),
        data=place.kept()["data"],
        rows=tuple(place.history()),
        finished=place.finished,
    )
