"""Scores of class probabilities: top-1, top-5, mean class accuracy, losses and average precision.

Shapes: V videos, C classes, N videos or frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Scores of a split.

    Attributes:
        top1, top5: shares of the videos in [0, 1].
        mean_class_accuracy: the mean over the classes of each class's top-1.
        loss: the mean loss of the videos, in nats.
    """

    top1: float
    top5: float
    mean_class_accuracy: float
    loss: float


def score(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Scores:
    """The scores of (V, C) probabilities for videos with (V,) labels.

    The mean class accuracy leaves out classes without a video. Among equal probabilities the right class is
    ranked last, so a network that gives all classes the same probability has a top-1 of 0.
    """
    better = _ranked_before(probabilities, labels)
    return Scores(
        top1=float((better == 0).mean()),
        top5=float((better < 5).mean()),
        mean_class_accuracy=mean_over_classes(per_class_accuracy(probabilities, labels)),
        loss=float(losses(probabilities, labels).mean()),
    )


def hits(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(V,) whether the right class is ranked first, with ties as in `score`."""
    first: NDArray[np.bool_] = _ranked_before(probabilities, labels) == 0
    return first


def losses(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> NDArray[np.float64]:
    """(V,) the loss of each video, in nats.

    If `truth` is (V,) labels: −log of the probability of the right class. If it is (V, C) flags of the
    classes that a video shows: the binary cross-entropy, averaged over the classes; NaN for a video without
    any label.
    """
    if truth.ndim == 2:
        of_truth = np.where(truth, probabilities, 1 - probabilities)
        return np.where(truth.any(axis=1), _negative_log(of_truth).mean(axis=1), np.nan)
    return _negative_log(probabilities[np.arange(len(truth)), truth])


def _negative_log(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """−log of probabilities, of which 0 is replaced by the smallest positive float64."""
    return -np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny))


def per_class_accuracy(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(C,) the top-1 of each class's videos, with ties as in `score`; NaN for a class without a video."""
    right = hits(probabilities, labels)
    classes = range(probabilities.shape[1])
    return np.array(
        [right[labels == label].mean() if (labels == label).any() else np.nan for label in classes]
    )


def mean_over_classes(per_class: NDArray[np.float64]) -> float:
    """The mean over the classes whose value is not NaN; 0 if all are NaN."""
    there = per_class[~np.isnan(per_class)]
    return float(np.mean(there)) if len(there) else 0.0


def one_hot(labels: NDArray[np.integer], classes: int) -> NDArray[np.bool_]:
    """(V, C) flags from (V,) labels: True for each video's class."""
    flags: NDArray[np.bool_] = labels[:, None] == np.arange(classes)
    return flags


def _ranked_before(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """(V,) the number of classes that are ranked before the right one, which is last among equal ones."""
    right = probabilities[np.arange(len(labels)), labels]
    before: NDArray[np.int64] = (probabilities >= right[:, None]).sum(axis=1) - 1
    return before


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """The average precision of a class: the mean of the precision at the rank of each positive.

    It is the area under the precision-recall curve as steps, without interpolation, as in scikit-learn. Equal
    scores share a rank.

    Args:
        scores: (N,) scores of the class, such as probabilities.
        truth: (N,) whether each video or frame shows the class (is a positive).

    Raises:
        ValueError: there is no positive.
    """
    if not truth.any():
        raise ValueError("average precision needs at least one positive, got none.")
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the last index of each run of ties
    positives, precision = right[ends], right[ends] / (ends + 1)
    return float(np.sum(np.diff(positives, prepend=0) * precision) / positives[-1])


def average_precisions(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,) the average precision of each class, from (N, C) scores and truth; NaN if it has no positives."""
    return np.array(
        [
            average_precision(own, true) if true.any() else np.nan
            for own, true in zip(scores.T, truth.T, strict=True)
        ]
    )
