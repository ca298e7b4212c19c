"""What a network says of each video of a test, and what it gets wrong; only for videos with one label.

Shapes: V videos, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expand.training.metrics import hits


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """The predictions of a network for the videos of a split.

    Attributes:
        videos: the names of the V videos.
        classes: the names of the C classes.
        labels: (V,) the class of each video.
        probabilities: (V, C) the probability of each class, averaged over the views of a video.
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(V,) whether each video's class is the most probable one."""
        return hits(self.probabilities, self.labels)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(V,) the most probable class of each video; of equal ones not its own, as `right` has it."""
        others = self.probabilities.copy()
        others[np.arange(len(self.labels)), self.labels] = -1
        return np.where(self.right, self.labels, others.argmax(axis=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class TestedVideo:
    """A video of a test, with what the network predicts for it.

    Attributes:
        video: its name.
        label: its class.
        predicted: the most probable class.
        probability: of the predicted class.
        label_probability: of its own class.
        right: whether the two classes are the same.
    """

    video: str
    label: str
    predicted: str
    probability: float
    label_probability: float
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """A class whose videos are taken for another one.

    Attributes:
        label: the class.
        predicted: what some of its videos are taken for.
        videos: how many.
        of: how many videos the class has.
    """

    label: str
    predicted: str
    videos: int
    of: int


def by_confidence(found: Predictions) -> tuple[TestedVideo, ...]:
    """The predictions, the most confidently wrong first, then the right ones, the least confident first."""
    right, predicted, rows = found.right, found.predicted, np.arange(len(found.labels))
    sure = found.probabilities[rows, predicted]
    order = sorted(rows.tolist(), key=lambda row: (right[row], sure[row] if right[row] else -sure[row]))
    return tuple(
        TestedVideo(
            video=found.videos[row],
            label=found.classes[found.labels[row]],
            predicted=found.classes[predicted[row]],
            probability=float(sure[row]),
            label_probability=float(found.probabilities[row, found.labels[row]]),
            right=bool(right[row]),
        )
        for row in order
    )


def confusion_matrix(found: Predictions) -> NDArray[np.int64]:
    """(C, C) the number of videos of each class (row) that are predicted as each class (column)."""
    count = len(found.classes)
    matrix = np.zeros((count, count), np.int64)
    np.add.at(matrix, (found.labels, found.predicted), 1)
    return matrix


def most_confused(found: Predictions) -> tuple[Confusion, ...]:
    """The pairs of classes of which one is taken for the other, those with the most videos first.

    Of pairs with as many videos, those come first that are a larger share of their class.
    """
    matrix, classes = confusion_matrix(found), found.classes
    of = matrix.sum(axis=1)
    pairs = [
        Confusion(
            label=classes[one], predicted=classes[other], videos=int(matrix[one, other]), of=int(of[one])
        )
        for one, other in np.argwhere(matrix > 0).tolist()
        if one != other
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.videos, -pair.videos / pair.of)))
