"""What a network gets wrong, from made-up probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from expand.full.mistakes import Confusion, Predictions, by_confidence, confusion_matrix, most_confused
from expand.training.metrics import score

FOUND = Predictions(
    videos=("a", "b", "c", "d", "e", "f"),
    classes=("left", "right", "up"),
    labels=np.array([0, 0, 0, 1, 1, 0]),
    probabilities=np.array(
        [
            [0.5, 0.3, 0.2],
            [0.2, 0.7, 0.1],
            [0.05, 0.9, 0.05],
            [0.1, 0.8, 0.1],
            [0.2, 0.2, 0.6],
            [0.5, 0.5, 0.0],  # a tie, which a score counts as wrong
        ]
    ),
)


def test_the_most_confidently_wrong_come_first_and_the_surest_last() -> None:
    listed = by_confidence(FOUND)
    assert [one.video for one in listed] == ["c", "b", "e", "f", "a", "d"]
    first = listed[0]
    assert (first.label, first.predicted, first.right) == ("left", "right", False)
    assert (first.probability, first.label_probability) == pytest.approx((0.9, 0.05))
    assert [one.right for one in listed] == [False] * 4 + [True] * 2
    assert np.mean([one.right for one in listed]) == score(FOUND.probabilities, FOUND.labels).top1


def test_the_matrix_has_a_row_for_each_label() -> None:
    assert confusion_matrix(FOUND).tolist() == [[1, 3, 0], [0, 1, 1], [0, 0, 0]]


def test_the_most_confused_pairs_come_first() -> None:
    assert most_confused(FOUND) == (
        Confusion(label="left", predicted="right", videos=3, of=4),
        Confusion(label="right", predicted="up", videos=1, of=2),
    )
