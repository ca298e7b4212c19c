"""What a set of class probabilities scores.

Shapes: V videos, C classes, N videos or frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    better = _ranked_before(probabilities, labels)
    return Scores(
        top1=float((better == 0).mean()),
        top5=float((better < 5).mean()),
        mean_class_accuracy=mean_over_classes(per_class_accuracy(probabilities, labels)),
        loss=float(losses(probabilities, labels).mean()),
    )


def hits(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(V,) whether the right class is first. Equal probabilities as in `score`."""
    first: NDArray[np.bool_] = _ranked_before(probabilities, labels) == 0
    return first


def losses(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> NDArray[np.float64]:
    """(V,) the loss of each video, in nats.

    Of (V,) labels, −log of the probability given to the right class. Of (V, C) flags, the binary
    cross-entropy: the mean over the classes of −log of the probability given to what is so; NaN where a video
    shows nothing.
    """
    if truth.ndim == 2:
        given = np.where(truth, probabilities, 1 - probabilities)
        return np.where(truth.any(axis=1), _surprise(given).mean(axis=1), np.nan)
    return _surprise(probabilities[np.arange(len(truth)), truth])


def _surprise(given: NDArray[np.floating]) -> NDArray[np.float64]:
    """−log of probabilities, where 0 counts as the smallest number."""
    return -np.log(np.maximum(given.astype(np.float64), np.finfo(np.float64).tiny))


def per_class_accuracy(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(C,) the top-1 of each class's videos; NaN where it has none. Equal probabilities as in `score`."""
    right = hits(probabilities, labels)
    classes = range(probabilities.shape[1])
    return np.array(
        [right[labels == label].mean() if (labels == label).any() else np.nan for label in classes]
    )


def mean_over_classes(per_class: NDArray[np.float64]) -> float:
    """The mean over the classes that have a number; 0 where none has."""
    there = per_class[~np.isnan(per_class)]
    return float(np.mean(there)) if len(there) else 0.0


def one_hot(labels: NDArray[np.integer], classes: int) -> NDArray[np.bool_]:
    """(V, C) whether each video is of each class."""
    found: NDArray[np.bool_] = labels[:, None] == np.arange(classes)
    return found


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
    ranked, right = scores[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of the runs of equal scores
    found, precision = right[ends], right[ends] / (ends + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / found[-1])


def average_precisions(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,) the average precision of each class from (N, C) scores and truth; NaN where nothing is true."""
    return np.array(
        [
            average_precision(own, true) if true.any() else np.nan
            for own, true in zip(scores.T, truth.T, strict=True)
        ]
    )
