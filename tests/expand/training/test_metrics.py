from __future__ import annotations

import numpy as np
import pytest

from expand.training.metrics import score


def test_scores_of_known_probabilities() -> None:
    probabilities = np.array(
        [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], dtype=np.float64
    )
    scores = score(probabilities, np.array([0, 1, 1, 1]))
    assert scores.top1 == 0.75
    assert scores.top5 == 1.0
    assert scores.mean_class_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert scores.loss == pytest.approx(-np.log([0.7, 0.5, 0.3, 0.8]).mean())


def test_a_network_that_cannot_tell_classes_apart_scores_nothing() -> None:
    scores = score(np.full((4, 10), 0.1), np.arange(4))
    assert (scores.top1, scores.top5) == (0.0, 0.0)


def test_top5_counts_the_first_five() -> None:
    probabilities = np.array([np.arange(8, 0, -1) / 36])
    assert [score(probabilities, np.array([label])).top5 for label in (4, 5)] == [1.0, 0.0]


def test_a_class_without_videos_does_not_count() -> None:
    scores = score(np.eye(5)[[0, 0, 4]], np.array([0, 0, 4]))
    assert scores.mean_class_accuracy == 1.0


def test_certainty_in_the_wrong_class_is_a_finite_loss() -> None:
    assert np.isfinite(score(np.array([[1.0, 0.0]]), np.array([1])).loss)
