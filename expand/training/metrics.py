"""What a set of class probabilities scores.

Shapes: V videos, C classes, N videos or frames.
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
    better = _ranked_before(probabilities, labels)
    hits = better == 0
    per_class = per_class_accuracy(probabilities, labels)
    return Scores(
        top1=float(hits.mean()),
        top5=float((better < 5).mean()),
        mean_class_accuracy=float(np.mean(per_class[~np.isnan(per_class)])),
        loss=float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean()),
    )


def per_class_accuracy(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(C,) the top-1 of each class's videos; NaN where it has none. Equal probabilities as in `score`."""
    hits = _ranked_before(probabilities, labels) == 0
    classes = range(probabilities.shape[1])
    return np.array(
        [hits[labels == label].mean() if (labels == label).any() else np.nan for label in classes]
    )


def _ranked_before(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """(V,) how many classes come before the right one."""
    right = probabilities[np.arange(len(labels)), labels]
    before: NDArray[np.int64] = (probabilities >= right[:, None]).sum(axis=1) - 1
    return before


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """The precision at each rank that a true one has, averaged over these; equal scores share a rank.

    The area under the steps of the precision-recall curve, not interpolated, as scikit-learn defines it.

    Args:
        scores: (N,) how sure a network is.
        truth: (N,) whether it is so.

    Raises:
        ValueError: nothing is true.
    """
    if not truth.any():
        raise ValueError("average precision needs something that is true, got nothing.")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of the runs of equal scores
    found, precision = hits[ends], hits[ends] / (ends + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / found[-1])


def average_precisions(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,) the average precision of each class from (N, C) scores and truth; NaN where nothing is true."""
    return np.array(
        [
            average_precision(own, true) if true.any() else np.nan
            for own, true in zip(scores.T, truth.T, strict=True)
        ]
    )
