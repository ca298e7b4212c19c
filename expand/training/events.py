"""Writes a training's curves as event files for TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from expand.config.training import TrainingConfig
from expand.jobs.job import Measurement, TrainingProgress
from expand.system.errors import UserError
from expand.training.schedule import learning_rate_factor


class Events(Protocol):
    """Receives the points of a training's curves."""

    def step(self, progress: TrainingProgress) -> None:
        """Write the loss and the learning rate after a step."""
        ...

    def end(self, measurement: Measurement) -> None:
        """Write the scores and the loss of the validation after the last step."""
        ...


def check_tensorboard() -> None:
    """Raises UserError if the package tensorboard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise UserError(
            "run.tensorboard needs the package tensorboard, which is not installed: "
            "install it with `pip install 'xpand[tensorboard]'`, or leave --tensorboard out."
        ) from None


@contextmanager
def open_events(folder: str | None, recipe: TrainingConfig, *, first: int = 0) -> Iterator[Events]:
    """Open event files in `folder` for the block; None: nothing is written.

    Args:
        folder: the folder, of this training alone.
        recipe: the recipe, for the learning rate.
        first: clips trained before this attempt. The points of an earlier attempt are kept up to this number;
            0: all are removed.
    """
    if folder is None:
        yield _NoEvents()
        return
    from torch.utils.tensorboard import SummaryWriter

    if not first:
        shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(Path(folder), purge_step=first or None) as writer:
        yield _EventFiles(writer.add_scalar, recipe)


class _NoEvents:
    """Writes nothing."""

    def step(self, progress: TrainingProgress) -> None: ...

    def end(self, measurement: Measurement) -> None: ...


class _EventFiles:
    """Writes points by TensorBoard's `add_scalar(name, value, clips)`."""

    def __init__(self, add: Callable[[str, float, int], None], recipe: TrainingConfig) -> None:
        self._add, self._recipe = add, recipe

    def step(self, progress: TrainingProgress) -> None:
        rate = learning_rate_factor(progress.clips / progress.total, self._recipe.warmup)
        self._add("train/loss", progress.loss, progress.clips)
        self._add("train/learning_rate", self._recipe.learning_rate * rate, progress.clips)

    def end(self, measurement: Measurement) -> None:
        values = asdict(measurement)
        for name in ("score", "top1", "top5", "mean_class_accuracy", "loss"):
            if values[name] is not None:
                self._add(f"val/{name}", values[name], measurement.clips_seen)
