from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.training.metrics import average_precision, average_precisions, per_class_accuracy, score


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


def test_average_precision_of_known_ranks() -> None:
    """The example of scikit-learn's documentation: 0.8333…."""
    assert average_precision(
        np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    ) == pytest.approx(5 / 6)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30).filter(
        lambda rows: any(true for _, true in rows)
    )
)
def test_average_precision_is_the_area_under_the_steps(rows: list[tuple[int, bool]]) -> None:
    """By its definition: the sum of (R_n - R_(n-1)) · P_n over the thresholds, one for each score."""
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    area = recall = 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        found = (truth & chosen).sum()
        area += (found / truth.sum() - recall) * found / chosen.sum()
        recall = found / truth.sum()
    assert average_precision(scores.astype(float), truth) == pytest.approx(area)


def test_a_network_that_says_the_same_of_all_has_the_precision_of_guessing() -> None:
    assert average_precision(np.ones(8), np.arange(8) < 2) == 0.25


def test_average_precision_needs_something_true() -> None:
    with pytest.raises(ValueError, match="needs at least one positive"):
        average_precision(np.ones(3), np.zeros(3, bool))
    found = average_precisions(np.eye(3), np.array([[True, False, True]] * 3))
    assert np.isnan(found).tolist() == [False, True, False]


def test_accuracy_by_class() -> None:
    found = per_class_accuracy(np.eye(3)[[0, 1, 1]], np.array([0, 0, 1]))
    assert found[:2].tolist() == [0.5, 1.0]
    assert np.isnan(found[2])
