"""What a full training shows of itself."""

from __future__ import annotations

import io

from rich.console import Console

from expand.full.best import Validation
from expand.report.live_training import TrainingView

ROW: Validation = {
    "step": 40, "epochs": 10, "learning_rate": 0.05, "train_loss": 1.25, "train_top1": 0.5, "val_top1": 0.25,
    "val_top5": 1.0, "val_mean_class_accuracy": 0.25, "val_loss": 1.5, "seconds": 61,
}  # fmt: skip


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def test_a_validation_is_a_line() -> None:
    shown = console()
    with TrainingView(shown) as view:
        view.validated(ROW)
        view.validated({"epochs": 20, "train_loss": 0.5, "val_mean_average_precision": 0.5})
    assert text(shown).splitlines() == [
        "epoch 10: loss 1.250, 50.0% of training clips right; validation top-1 25.0%, top-5 100.0%, mean "
        "class 25.0%",
        "epoch 20: loss 0.500; validation mAP 50.0%",
    ]
