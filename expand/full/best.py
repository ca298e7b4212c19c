"""Which validation of a training is the best, and whether to wait for a better one: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

Validation = dict[str, float]  # a row of history.csv

_SCORES = ("val_top1", "val_mean_average_precision")  # what decides, for videos with one label or several


def best_row(rows: Sequence[Validation]) -> Validation:
    """The row with the highest top-1, or mAP; among equal ones the lowest loss, then the first."""
    return max(rows, key=lambda row: (_score(row), -row.get("val_loss", 0.0)))


def gives_up(rows: Sequence[Validation], patience: float | None) -> bool:
    """Whether the best validation is `patience` epochs or more before the last one; None: never."""
    if patience is None or not rows:
        return False
    return rows[-1]["epochs"] - best_row(rows)["epochs"] >= patience


def _score(row: Validation) -> float:
    return next(row[name] for name in _SCORES if name in row)
