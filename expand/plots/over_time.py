"""Draws what a network says of a long video over time: frames, the likeliest class, and probabilities.

Shapes: M moments, C classes, N frames that are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from expand.data.base import Frames
from expand.plots.style import FAINT, RUN_COLOURS, new_figure
from expand.predicting.video import Prediction
from expand.system.units import show_seconds

_COLOURS = (*RUN_COLOURS, "#669f3c", "#05aaba", "#814b2c", "#d98c00")  # of as many classes
_OTHERS = "#d0d0d0"


def over_time(prediction: Prediction, frames: Sequence[Frames]) -> Figure:
    """Frames of the video, a strip of the likeliest class at each moment, and the probabilities below.

    Args:
        prediction: with at least two moments.
        frames: (N) frames of the video, at the middles of N equal parts of it.
    """
    times, shares = prediction.times, prediction.probabilities
    likeliest = shares.argmax(axis=1)
    shown = _classes(shares)
    colours = dict(zip(shown, _COLOURS, strict=False))
    figure = new_figure(3.4, f"{prediction.video.name}, {show_seconds(prediction.seconds)}")
    grid = figure.add_gridspec(3, 1, height_ratios=(1.1, 0.25, 1.6), hspace=0.08)
    pictures, strip, curves = (figure.add_subplot(grid[row]) for row in range(3))
    ends = _edges(times, prediction.seconds)
    each = prediction.seconds / len(frames)
    for number, picture in enumerate(frames):
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pictures.imshow(
            picture[top : top + side, left : left + side],
            extent=(number * each, (number + 1) * each, 0, 1),
            aspect="auto",
        )
    for axes in (pictures, strip):
        axes.set_yticks([])
        axes.tick_params(bottom=False, labelbottom=False)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    for begin, end, label in _runs(ends, likeliest):
        strip.axvspan(begin, end, color=colours.get(label, _OTHERS), linewidth=0)
    for label in shown:
        curves.plot(
            times, shares[:, label], color=colours[label], linewidth=1.2, label=prediction.classes[label]
        )
    for axes in (pictures, strip, curves):
        axes.set_xlim(0, prediction.seconds)
    curves.set_ylim(0, 1)
    curves.set_ylabel("probability")
    curves.set_xlabel("seconds")
    curves.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    curves.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if len(shown) < len(np.unique(likeliest)):
        curves.text(1.01, 0.0, "grey: other classes", transform=curves.transAxes, fontsize=7, color=FAINT)
    return figure


def _classes(shares: NDArray[np.float64]) -> list[int]:
    """The classes with a colour of their own: those that are likeliest most often, then by probability."""
    often = np.bincount(shares.argmax(axis=1), minlength=shares.shape[1])
    order = np.lexsort((-shares.max(axis=0), -often))
    return [int(index) for index in order[: len(_COLOURS)]]


def _edges(times: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """(M + 1) the times between which each moment is the nearest one."""
    return np.concatenate(([0.0], (times[1:] + times[:-1]) / 2, [seconds]))


def _runs(edges: NDArray[np.float64], labels: NDArray[np.int64]) -> list[tuple[float, float, int]]:
    """The begin, the end and the label of each row of moments with the same label."""
    starts = np.flatnonzero(np.concatenate(([True], labels[1:] != labels[:-1])))
    ends = np.append(starts[1:], len(labels))
    return [
        (float(edges[start]), float(edges[end]), int(labels[start]))
        for start, end in zip(starts, ends, strict=True)
    ]
