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


def recipe_by(videos: int) -> RecipeName:
    """The recipe that `auto` stands for with this number of training videos: `small` or `released`."""
    return "small" if videos < FEW_VIDEOS else "released"


def recipe_values(name: RecipeName, videos: int) -> dict[str, Any]:
    """The settings of `training`, by their names, in which a recipe differs from the released one.

    Args:
        name: the recipe.
        videos: the number of training videos. A small set is seen for as many epochs as make 6,000 steps, but
            for at least 60 and at most 300.
    """
    if name != "small":
        return {}
    steps_of_epoch = max(1, videos // _SMALL["batch_size"])
    fewest, most = _EPOCHS
    return {**_SMALL, "epochs": float(min(most, max(fewest, math.ceil(_LEAST_STEPS / steps_of_epoch))))}


def recipe_jitter(name: RecipeName) -> tuple[float, float] | None:
    """The `data.jitter` of a recipe; None: that of the released one, which depends on the size of clips."""
    return _SMALL_JITTER if name == "small" else None
