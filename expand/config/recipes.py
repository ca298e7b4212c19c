"""The recipes of a full training: values of its settings, chosen by the number of training videos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

RecipeName = Literal["auto", "released", "small"]  # a value of the setting `training.recipe`

FEW_VIDEOS = 20_000  # with fewer training videos, auto is `small`

# X3D was released with 300 epochs of 240,000 videos. Few videos make few steps, so batches are small, the
# rate is high, and nothing holds back what is learned in the first epochs (docs/training.md).
_SMALL: Mapping[str, Any] = {
    "batch_size": 16,
    "learning_rate": 0.4,
    "gradient_clip": 2.0,
    "dropout": 0.0,
    "residual_start": 0.2,
}
_SMALL_JITTER = (1.0, 1.25)  # `data.jitter`, as in a search: a clip shows most of the frame
_LEAST_STEPS = 6_000
_EPOCHS = (60, 300)  # the fewest and the most epochs of a small set

RELEASED_BATCH = 128  # clips in a step of the released recipe
FEW_STEPS = 4  # batches are made smaller where an epoch has fewer steps
_LEAST_BATCH = 8  # a smaller batch tells BatchNorm too little


def recipe_by(videos: int) -> RecipeName:
    """The recipe that `auto` stands for with this number of training videos: `small` or `released`."""
    return "small" if videos < FEW_VIDEOS else "released"


def recipe_values(name: RecipeName, videos: int, processes: int = 1) -> dict[str, Any]:
    """The settings of `training`, by their names, in which a recipe differs from the defaults.

    Args:
        name: the recipe.
        videos: the number of training videos. Where they are few, batches are smaller. A small set is seen
            for as many epochs as make 6,000 steps, but for at least 60 and at most 300.
        processes: the number of processes that share a step.
    """
    if name != "small":
        return {"batch_size": batch_for(RELEASED_BATCH, videos, processes)}
    batch = batch_for(_SMALL["batch_size"], videos, processes)
    fewest, most = _EPOCHS
    epochs = math.ceil(_LEAST_STEPS / max(1, videos // batch))
    return {**_SMALL, "batch_size": batch, "epochs": float(min(most, max(fewest, epochs)))}


def batch_for(most: int, videos: int, processes: int = 1) -> int:
    """The clips in a step: `most`, halved until an epoch has 4 steps, but not below 8 clips.

    Args:
        most: the clips in a step where videos are many.
        videos: the number of training videos.
        processes: the number of processes, each of which must get 2 clips.
    """
    batch = most
    while videos < FEW_STEPS * batch and batch // 2 >= max(_LEAST_BATCH, 2 * processes):
        batch //= 2
    return batch


def fitting_batch(batch: int, videos: int, processes: int = 1) -> int:
    """A batch that holds no video twice: as given, or as many clips as there are videos.

    It stays a multiple of the processes, with 2 clips for each at least.
    """
    return batch if batch <= videos else max(2 * processes, videos - videos % processes)


def recipe_jitter(name: RecipeName) -> tuple[float, float] | None:
    """The `data.jitter` of a recipe; None: that of the released one, which depends on the size of clips."""
    return _SMALL_JITTER if name == "small" else None
