"""The folder of a full training.

    config.yaml      the recipe, whole (recipe.py)
    network.yaml     the model file of the network that is trained
    training.json    what must stay as it is when the training goes on
    checkpoints/     the last two
    history.csv      a row a validation
    log.txt          what happened when
    model.yaml       at the end: the trained network, with model.safetensors beside it

A folder appears whole, by one rename, with a checkpoint of the weights that the training starts from.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expand.config.base import load_config, to_yaml
from expand.config.data_paths import moved, placed
from expand.config.full import Recipe
from expand.system.errors import UserError, cannot_write
from expand.system.files import write_atomic, write_json
from expand.system.folders import CHECKPOINTS, CONFIG, TRAINING, differences, locked
from expand.system.version import VERSION
from expand.weights.models import TRAINED, Model, read_model, write_values
from search_spaces.base import Json

FORMAT = 1  # of training.json
NETWORK = "network.yaml"


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """A full training on disk."""

    folder: Path

    @staticmethod
    def is_one(folder: Path) -> bool:
        return (folder / TRAINING).is_file()

    @classmethod
    @contextmanager
    def made(cls, folder: Path, recipe: Recipe, model: Model, kept: Json) -> Iterator[TrainingFolder]:
        """A new folder, which gets its name when the block that fills it is over.

        Args:
            folder: must be free.
            recipe: of the training.
            model: the network, without weights.
            kept: what must stay as it is when the training goes on.

        Raises:
            UserError: it cannot be written.
        """
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            (partial / CONFIG).write_text(to_yaml(placed(recipe)), encoding="utf-8")
            write_values(partial / NETWORK, model.values)
            fixed = {"format": FORMAT, "xpand": VERSION, "config": recipe.deciding()}
            write_json(partial / TRAINING, fixed | kept)
            yield cls(partial)
            partial.rename(folder)
        except OSError as error:
            raise cannot_write(folder, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @property
    def checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS

    @property
    def finished(self) -> bool:
        return (self.folder / TRAINED).is_file()

    def recipe(self) -> Recipe:
        return load_config(self.folder / CONFIG, Recipe)

    def network(self) -> Model:
        return read_model(self.folder / NETWORK)

    def kept(self) -> Json:
        """training.json.

        Raises:
            UserError: it is damaged, or of another format.
        """
        path = self.folder / TRAINING
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f"{path} must be whole JSON, but it is damaged: train again.") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise UserError(f"{path} must have format {FORMAT}: read it with the xpand that wrote it.")
        return values

    def check(self, now: Json) -> None:
        """Raises UserError where the recipe, the data or the number of processes has changed.

        What the data is called decides nothing: its folder may have another name.
        """
        was = self.kept()
        changes = list(differences(_nameless({key: was.get(key) for key in now}), _nameless(now)))
        if changes:
            raise UserError(
                f"the training in {self.folder} must go on as it was started, but it differs: "
                f"{'; '.join(changes[:5])}. Change it back, or train into another folder."
            )

    def move_data(self, folder: Path) -> None:
        """Keep where the videos are now.

        Raises:
            UserError: another process drives it, or it cannot be written.
        """
        with self.locked():
            write_atomic(self.folder / CONFIG, to_yaml(placed(moved(self.recipe(), folder))))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold it as its only driver; see `folders.locked`."""
        with locked(self.folder):
            yield

    def write_history(self, rows: Sequence[dict[str, float]]) -> None:
        text = io.StringIO()
        if rows:
            table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)
        write_atomic(self.folder / "history.csv", text.getvalue())

    def history(self) -> list[dict[str, float]]:
        """The validations so far."""
        path = self.folder / "history.csv"
        if not path.is_file():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _nameless(values: Json) -> Json:
    """The same without what the data is called."""
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    return {**values, "data": {key: value for key, value in data.items() if key != "name"}}
