"""Figures of a test: which classes are taken for which and, of several labels, each class's precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from expand.full.mistakes import Predictions, confusion_matrix
from expand.plots.captions import caption
from expand.plots.figures import styled
from expand.plots.scales import in_percent
from expand.plots.style import FAINT, GRID, RUN_COLOURS, WIDTH, new_figure

_CELL = (0.06, 0.5)  # inches: sides of the smallest and the largest cell of a confusion matrix
_MATRIX = 6.0  # inches: the side of a matrix whose cells are neither
_WRITTEN = 25  # the most classes with numbers in their cells
_FONT = (3.0, 8.0)  # points: the smallest and the largest letters of names
_LONGEST = 40  # characters of a name
_LETTER = 0.6  # width of a letter, in its size
_BAR = (0.07, 0.22)  # inches: the height of a class's bar, where there are many and where there are few
_BARS = 6.0  # inches: the height of all bars together in between


def confusion_figure(found: Predictions, title: str, words: str) -> Figure:
    """The confusion matrix, as shares of each row, of all classes that have a video or a prediction.

    Args:
        found: the predictions.
        title: of the figure.
        words: what was tested, for the caption.
    """
    return styled(lambda: _confusion(found, title, words))


def precision_figure(per_class: Mapping[str, float], title: str, words: str) -> Figure:
    """The average precision of each class, the highest first; the arguments are as above."""
    return styled(lambda: _precision(per_class, title, words))


def _confusion(found: Predictions, title: str, words: str) -> Figure:
    counts = confusion_matrix(found)
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts = counts[np.ix_(shown, shown)]
    of = counts.sum(axis=1)
    names = [_short(found.classes[one]) for one in shown]
    rows = [f"{name} ({videos})" for name, videos in zip(names, of, strict=True)]
    cell = min(_CELL[1], max(_CELL[0], _MATRIX / len(names)))
    font = min(_FONT[1], max(_FONT[0], 72 * 0.75 * cell))
    side, beside = cell * len(names), max(map(len, rows)) * font * _LETTER / 72
    figure = new_figure(side + beside + 1.2, title, max(WIDTH / 2, side + beside + 1.0))
    axes = figure.subplots()
    shares = np.divide(counts, of[:, None], out=np.full(counts.shape, np.nan), where=of[:, None] > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_facecolor(GRID)  # rows of classes without a video
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), names, fontsize=font)
    level = max(map(len, names)) * font * _LETTER < 72 * cell  # names have room beside each other
    axes.tick_params(axis="x", rotation=0 if level else 90)
    axes.set_yticks(range(len(names)), rows, fontsize=font)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label (videos)")
    if len(names) <= _WRITTEN:
        _write(axes, shares, font)
    beside_it = axes.inset_axes((1 + 0.1 / side, 0, 0.1 / side, 1))  # 0.1 inches wide, and as high
    bar = figure.colorbar(image, cax=beside_it)
    in_percent(bar.ax.yaxis)
    bar.outline.set_visible(False)
    right = int(found.right.sum())
    caption(
        figure,
        f"{words} Each row: of the videos with a label, the share that is predicted as each class. "
        f"{right:,} of {len(found.labels):,} videos are right.",
    )
    return figure


def _write(axes: Axes, shares: NDArray[np.float64], font: float) -> None:
    """Write the shares that are not 0 into their cells, in percent."""
    for row, column in np.argwhere(shares > 0).tolist():
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{100 * share:.0f}",
            ha="center",
            va="center",
            fontsize=0.9 * font,
            color="white" if share > 0.5 else "black",
        )


def _precision(per_class: Mapping[str, float], title: str, words: str) -> Figure:
    ranked = sorted(per_class.items(), key=lambda one: one[1])  # barh draws from below
    height = min(_BAR[1], max(_BAR[0], _BARS / len(ranked)))
    font = min(_FONT[1], max(_FONT[0], 72 * 0.75 * height))
    figure = new_figure(height * len(ranked) + 1.1, title)
    axes = figure.subplots()
    values = [value for _, value in ranked]
    axes.barh(range(len(ranked)), values, color=RUN_COLOURS[2], height=0.75)
    axes.set_yticks(range(len(ranked)), [_short(name) for name, _ in ranked], fontsize=font)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_xlim(0, 1.08)
    for place, value in enumerate(values):
        axes.text(value + 0.005, place, f"{value:.0%}", va="center", fontsize=font, color=FAINT)
    in_percent(axes.xaxis)
    axes.set_xlabel("average precision")
    caption(figure, f"{words} Classes that no video shows are left out.")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
