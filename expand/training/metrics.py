"""What a set of class probabilities scores.

Shapes: V videos, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Shares of the videos (top1, top5), the mean over classes of their top-1, and the mean loss in nats."""

    top1: float
    top5: float
    mean_class_accuracy: float
    loss: float


def score(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Scores:
    """Scores of (V, C) probabilities against (V,) labels.

    A class without a video does not count in the mean class accuracy. Of equal probabilities the right
    class is ranked last, so that a network that gives all classes the same scores nothing.
    """
    right = probabilities[np.arange(len(labels)), labels]  # (V,)
    better = (probabilities >= right[:, None]).sum(axis=1) - 1  # (V,) classes ranked before the right one
    hits = better == 0
    per_class = [hits[labels == label].mean() for label in np.unique(labels)]
    return Scores(
        top1=float(hits.mean()),
        top5=float((better < 5).mean()),
        mean_class_accuracy=float(np.mean(per_class)),
        loss=float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean()),
    )
