"""What a test tells besides its scores: predictions and figures as files, and a few lines in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from matplotlib.figure import Figure

from expand.full.mistakes import Predictions, TestedVideo, by_confidence, most_confused
from expand.full.testing import PlannedTest, ViewTest
from expand.plots.figures import write_drawn
from expand.plots.testing import confusion_figure, precision_figure
from expand.system.errors import cannot_write
from expand.system.escaping import visible_line
from expand.system.files import write_atomic

PREDICTIONS = "predictions.csv"
_FEW = 5  # predictions, and pairs of classes, that are said in words


def write_tested(test: PlannedTest, results: Sequence[ViewTest], folder: Path) -> list[Path]:
    """Write what each test found; with several grids of views, into a folder for each, such as 10x3.

    Videos with one label: the confusion matrix, and predictions.csv. Others: the average precision of each
    class.

    Raises:
        UserError: the folder cannot be written.
    """
    written = []
    for result in results:
        to = folder if len(results) == 1 else folder / f"{result.views.clips}x{result.views.crops}"
        written += write_drawn(dict([_figure(test, result)]), to)
        if result.predictions is not None:
            written.append(_write_predictions(result.predictions, to / PREDICTIONS))
    return written


def predictions_csv(found: Predictions) -> str:
    """The predictions as CSV, the most confidently wrong first."""
    text = io.StringIO()
    names = [field.name for field in fields(TestedVideo)]
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    for one in by_confidence(found):
        sure, of_label = f"{one.probability:.6g}", f"{one.label_probability:.6g}"
        said = {"probability": sure, "label_probability": of_label, "right": str(one.right).lower()}
        table.writerow(asdict(one) | said)
    return text.getvalue()


def mistake_lines(results: Sequence[ViewTest]) -> tuple[str, ...]:
    """The most confidently wrong predictions of the last test, and its most confused classes, in words."""
    found = results[-1].predictions
    wrong = [] if found is None else [one for one in by_confidence(found) if not one.right]
    if found is None or not wrong:
        return ()
    lines = ["most confidently wrong:"]
    lines += [
        f"  {one.probability:6.1%} {one.predicted}, but it is {one.label}: {one.video}"
        for one in wrong[:_FEW]
    ]
    lines.append("most confused:")
    lines += [
        f"  {one.videos} of {one.of} {one.label} taken for {one.predicted}"
        for one in most_confused(found)[:_FEW]
    ]
    return tuple(map(visible_line, lines))


def _figure(test: PlannedTest, result: ViewTest) -> tuple[str, Figure]:
    """The figure of a test, with the name of its files."""
    views = f"{result.views.clips} × {result.views.crops}"
    words = f"{result.videos:,} videos of {result.data} ({test.split}), {views} views of each."
    if result.predictions is not None:
        return "confusion", confusion_figure(result.predictions, f"Confusion: {test.model.name}", words)
    title = f"Average precision: {test.model.name}"
    return "average-precision", precision_figure(result.per_class, title, words)


def _write_predictions(found: Predictions, path: Path) -> Path:
    try:
        write_atomic(path, predictions_csv(found))
    except OSError as error:
        raise cannot_write(path, error) from None
    return path
