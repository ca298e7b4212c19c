"""The figure of a full training: what it says, and that it can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expand.full.record import read_training
from expand.plots import FORMATS
from expand.plots.training import draw_training, write_training
from tests.expand.commands import Xpand
from tests.expand.full.made_up import made_up_training, rows
from tests.expand.plots.test_figures import overlaps, words


def drawn(tmp_path: Path, scores: list[float], **options: Any) -> Figure:
    return draw_training(read_training(made_up_training(tmp_path / "run", rows(scores), **options)))


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def line(figure: Figure, panel: int, label: str) -> list[tuple[float, float]]:
    (found,) = (one for one in figure.axes[panel].lines if one.get_label() == label)
    return points(found)


def test_both_splits_the_rate_and_the_best_epoch(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [0.25, 0.75, 0.5, 0.5, 0.5, 0.5], keep="best")
    assert line(figure, 0, "training clips")[1] == (20, 0.5)
    assert line(figure, 0, "validation videos")[1] == (20, 0.75)
    assert line(figure, 1, "training clips")[1] == (20, 0.75)
    assert line(figure, 1, "validation videos")[:2] == [(10, 0.25), (20, 0.75)]
    assert line(figure, 1, "best: epoch 20, top-1 75.0%") == [(20, 0.75)]
    rate = [value for _, value in points(figure.axes[2].lines[0])]
    assert max(rate) == pytest.approx(0.1 * 8 / 128, rel=0.05)
    assert rate[-1] == pytest.approx(0)
    said = words(figure)
    assert "Training: run" in said
    assert "Data: hands, 32 training and 15 validation videos, 2 classes. 8 clips in a step." in said
    assert "The trained network has the weights of the best validation, at epoch 20." in said


@pytest.mark.parametrize("count", [1, 2, 6, 30])
def test_no_two_texts_cover_each_other(tmp_path: Path, count: int) -> None:
    assert (
        overlaps(drawn(tmp_path, [0.5 + 0.01 * number for number in range(count)], epochs=10 * count)) == []
    )


def test_an_unfinished_training_says_so(tmp_path: Path) -> None:
    said = words(drawn(tmp_path, [0.25, 0.75], finished=False))
    assert "Training: run (unfinished)" in said
    assert "run is unfinished: 20 of 60 epochs by the last validation." in said
    assert "The trained network" not in said


def test_a_training_without_a_validation_has_nothing_to_show(tmp_path: Path) -> None:
    assert words(drawn(tmp_path, [], finished=False)) == (
        "There is no validation yet. run is unfinished: 0 of 60 epochs by the last validation. Training: run "
        "(unfinished)"
    )


def test_several_labels_have_their_own_score(tmp_path: Path) -> None:
    history = [{"epochs": 10.0, "learning_rate": 0.1, "train_loss": 0.5, "val_mean_average_precision": 0.25}]
    folder = made_up_training(tmp_path / "run", history, multigrid=True)
    for name in ("network.yaml", "model.yaml"):
        with (folder / name).open("a") as file:
            file.write("labels: several\n")
    figure = draw_training(read_training(folder))
    assert line(figure, 1, "best: epoch 10, mAP 25.0%") == [(10, 0.25)]
    assert next(one.get_label() for one in figure.axes[0].lines) == "training clips"


def test_the_verb_takes_a_training(tmp_path: Path, xpand: Xpand) -> None:
    folder = made_up_training(tmp_path / "run", rows([0.5]))
    done = xpand("plot", folder)
    names = [f"training.{form}" for form in FORMATS]
    assert done.stdout.split() == [str(folder / "figures" / name) for name in names]
    assert [path.name for path in write_training(folder, tmp_path)] == names
