"""Which validation is the best, and when no better one is waited for."""

from __future__ import annotations

import pytest

from expand.full.best import Validation, best_row, gives_up


def rows(*scores: tuple[float, float]) -> list[Validation]:
    """Validations at epochs 10, 20, … with their top-1 and loss."""
    return [
        {"epochs": 10.0 * number, "val_top1": top1, "val_loss": loss}
        for number, (top1, loss) in enumerate(scores, start=1)
    ]


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ([(0.5, 1.0)], 10),
        ([(0.5, 1.0), (0.75, 2.0), (0.7, 0.5)], 20),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 1.1)], 20),
        ([(0.5, 1.0), (0.5, 1.0)], 10),
    ],
)
def test_the_score_decides_then_the_loss_then_the_order(
    scores: list[tuple[float, float]], epoch: float
) -> None:
    assert best_row(rows(*scores))["epochs"] == epoch


def test_several_labels_are_compared_by_average_precision() -> None:
    first, second = (
        {"epochs": epoch, "val_mean_average_precision": score} for epoch, score in [(1.0, 0.2), (2.0, 0.4)]
    )
    assert best_row([first, second]) is second


def test_patience_ends_with_the_validation_that_is_as_late() -> None:
    scores = [(0.5, 1.0), (0.6, 1.0), (0.6, 1.0), (0.4, 1.0)]
    ends = [gives_up(rows(*scores[:count]), 20) for count in range(5)]
    assert ends == [False, False, False, False, True]
    assert not gives_up(rows(*scores), None)
