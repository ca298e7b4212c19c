"""The folder of a full training.

    config.yaml      the whole configuration (config/full.py)
    network.yaml     the model file of the network, without weights
    training.json    the settings, the data and the processes, which must not change when it is resumed
    checkpoints/     the last two checkpoints
    history.csv      one row for each validation
    log.txt          the log of the training
    model.yaml       at the end: the model file of the trained network, with model.safetensors beside it

A new folder gets its name in one step, when it already holds a checkpoint of the initial weights.
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

FORMAT = 1  # the version of the format of training.json
NETWORK = "network.yaml"


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """Reads and writes the files in the folder of a full training."""

    folder: Path

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether `folder` is the folder of a full training."""
        return (folder / TRAINING).is_file()

    @classmethod
    @contextmanager
    def made(cls, folder: Path, recipe: Recipe, model: Model, kept: Json) -> Iterator[TrainingFolder]:
        """Make a new folder; it has a temporary name until the block, which may add files, ends.

        Args:
            folder: the path; nothing may exist there.
            recipe: the configuration of the training.
            model: the network, without weights.
            kept: more values for training.json, which must not change when the training is resumed.

        Raises:
            UserError: the folder cannot be written.
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
        """The folder of the checkpoints."""
        return self.folder / CHECKPOINTS

    @property
    def finished(self) -> bool:
        """Whether the trained model has been written."""
        return (self.folder / TRAINED).is_file()

    def recipe(self) -> Recipe:
        """The configuration in config.yaml; raises UserError as `load_config` does."""
        return load_config(self.folder / CONFIG, Recipe)

    def network(self) -> Model:
        """The model in network.yaml, without weights; raises UserError as `read_model` does."""
        return read_model(self.folder / NETWORK)

    def trained(self) -> Json:
        """What the model file of the finished training says of it; raises UserError as `read_model` does."""
        values: Json = read_model(self.folder / TRAINED).values["trained"]
        return values

    def kept(self) -> Json:
        """The values in training.json.

        Raises:
            UserError: the file is damaged, or has another format.
        """
        path = self.folder / TRAINING
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(
                f"{path} must be whole JSON, but it is missing or damaged: train again into another folder."
            ) from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise UserError(
                f"{path} must have format {FORMAT}, but it has another: read it with the xpand that wrote it."
            )
        return values

    def check(self, now: Json) -> None:
        """Raises UserError if the settings, the data or the number of processes differ from training.json.

        The name of the data may differ, since its folder may have been renamed.

        Args:
            now: the values of this attempt.
        """
        was = self.kept()
        changes = list(differences(_nameless({key: was.get(key) for key in now}), _nameless(now)))
        if changes:
            raise UserError(
                f"the training in {self.folder} must be resumed as it was started, but these values differ: "
                f"{'; '.join(changes[:5])}. Change them back, or train into another folder."
            )

    def move_data(self, folder: Path) -> None:
        """Write the new folder of the videos into config.yaml.

        Raises:
            UserError: another process holds the lock of the training, or the file cannot be written.
        """
        with self.locked():
            write_atomic(self.folder / CONFIG, to_yaml(placed(moved(self.recipe(), folder))))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the training, so that no other process drives it; see `folders.locked`."""
        with locked(self.folder):
            yield

    def write_history(self, rows: Sequence[dict[str, float]]) -> None:
        """Write history.csv, one row for each validation."""
        text = io.StringIO()
        if rows:
            table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)
        write_atomic(self.folder / "history.csv", text.getvalue())

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv, one for each validation so far."""
        path = self.folder / "history.csv"
        if not path.is_file():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _nameless(values: Json) -> Json:
    """The values without the name of the data."""
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    return {**values, "data": {key: value for key, value in data.items() if key != "name"}}
