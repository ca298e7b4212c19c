"""The figures of a test: what they say, and that they can be read with few classes and with many."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from expand.full.mistakes import Predictions
from expand.plots.testing import confusion_figure, precision_figure
from tests.expand.plots.test_figures import overlaps, words


def predictions(classes: int, videos: int = 4) -> Predictions:
    """As many videos of each class, of which one in `videos` is taken for the next class."""
    labels = np.repeat(np.arange(classes), videos)
    said = np.where(np.arange(len(labels)) % videos, labels, (labels + 1) % classes)
    return Predictions(
        videos=tuple(map(str, labels)),
        classes=tuple(f"riding a bike {number}" for number in range(classes)),
        labels=labels,
        probabilities=np.eye(classes)[said],
    )


def ticks(figure: Figure) -> tuple[list[str], list[str]]:
    axes = figure.axes[0]
    x, y = axes.get_xticklabels(), axes.get_yticklabels()
    return [one.get_text() for one in x], [one.get_text() for one in y]


@pytest.mark.parametrize("classes", [2, 7, 26, 120])
def test_every_class_can_be_read(classes: int) -> None:
    figure = confusion_figure(predictions(classes), "Confusion: net", "8 videos.")
    columns, rows = ticks(figure)
    assert columns == [f"riding a bike {number}" for number in range(classes)]
    assert rows == [f"riding a bike {number} (4)" for number in range(classes)]
    assert overlaps(figure) == []
    smallest = min(float(text.get_fontsize()) for text in figure.findobj(Text) if isinstance(text, Text))
    assert smallest >= 3  # points


def test_cells_are_shares_of_their_row() -> None:
    found = predictions(3)
    figure = confusion_figure(found, "Confusion: net", "12 videos of hands (val), 1 × 1 views of each.")
    (image,) = figure.axes[0].images
    assert np.asarray(image.get_array()).tolist() == [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["75", "25", "75", "25", "25", "75"]
    assert (
        "12 videos of hands (val), 1 × 1 views of each. Each row: of the videos with a label, the share that "
        "is predicted as each class. 9 of 12 videos are right."
    ) in words(figure)


def test_classes_that_have_no_video_and_no_prediction_are_left_out() -> None:
    found = Predictions(
        videos=("a", "b"),
        classes=("left", "right", "up", "down"),
        labels=np.array([0, 0]),
        probabilities=np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]),
    )
    columns, rows = ticks(confusion_figure(found, "Confusion: net", "2 videos."))
    assert columns == ["left", "up"]
    assert rows == ["left (2)", "up (0)"]


@pytest.mark.parametrize("classes", [1, 10, 157])
def test_average_precision_has_a_bar_for_each_class_the_best_on_top(classes: int) -> None:
    per_class = {f"class {number}": number / classes for number in range(classes)}
    figure = precision_figure(per_class, "Average precision: net", "9 videos.")
    _, rows = ticks(figure)
    assert rows == list(per_class)  # from below
    assert len(figure.axes[0].patches) == classes
    assert overlaps(figure) == []
