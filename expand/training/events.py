"""Writes a training's curves as event files for TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from expand.jobs.job import TrainingProgress
from expand.system.errors import UserError

Rate = Callable[[TrainingProgress], float]  # the learning rate of a step, from the progress after it


class Events(Protocol):
    """Receives the points of a training's curves."""

    def step(self, progress: TrainingProgress) -> None:
        """Write the loss and the learning rate after a step."""
        ...

    def scores(self, values: Mapping[str, float | None], clips: int) -> None:
        """Write values by their names, such as `val/top1`, after `clips` clips; None is left out."""
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
def open_events(folder: str | None, rate: Rate, *, first: int = 0) -> Iterator[Events]:
    """Open event files in `folder` for the block; None: nothing is written.

    Args:
        folder: the folder, of this training alone.
        rate: gives the learning rate.
        first: clips trained before this attempt. The points of an earlier attempt are kept up to this number;
            0: all are removed.
    """
    if folder is None:
        yield _NoEvents()
        return
    from torch.utils.tensorboard import SummaryWriter

    if not first:
        shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(Path(folder), purge_step=first + 1 if first else None) as writer:
        yield _EventFiles(writer.add_scalar, rate)


class _NoEvents:
    """Writes nothing."""

    def step(self, progress: TrainingProgress) -> None: ...

    def scores(self, values: Mapping[str, float | None], clips: int) -> None: ...


class _EventFiles:
    """Writes points by TensorBoard's `add_scalar(name, value, clips)`."""

    def __init__(self, add: Callable[[str, float, int], None], rate: Rate) -> None:
        self._add, self._rate = add, rate

    def step(self, progress: TrainingProgress) -> None:
        self._add("train/loss", progress.loss, progress.clips)
        self._add("train/learning_rate", self._rate(progress), progress.clips)

    def scores(self, values: Mapping[str, float | None], clips: int) -> None:
        for name, value in values.items():
            if value is not None:
                self._add(name, value, clips)
