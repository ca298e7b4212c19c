"""Labels beside points that cover neither each other nor the points.

Not by adjustText 1.4, which pushes labels apart until a time or a number of steps is over: what still
overlaps then stays so, and it needs scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from expand.plots.style import FAINT, INK

Pixels = NDArray[np.float64]
Boxes = NDArray[np.float64]  # (N, 4): left, bottom, right, top, in pixels

# Possible offsets of a label from its point: in typographic points, with (horizontal, vertical) alignment.
# The first free one is taken. Labels at the far offsets get a line to their point.
_NEAR = [
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (5, 5, "left", "bottom"),
    (-5, 5, "right", "bottom"),
    (5, -5, "left", "top"),
    (-5, -5, "right", "top"),
]
_FAR = [(factor * dx, factor * dy, h, v) for factor in (2.5, 4, 5.5, 7.5, 10) for dx, dy, h, v in _NEAR]
_POINT = 3.5  # half the side of the square kept free around a point, in typographic points
_LINE = 2.0  # half the side of the squares kept free along a line, in typographic points
_APART = 4  # distance of these squares along a line, in pixels
_FAR_COST = 1.5  # cost of one typographic point of distance, in square pixels of covered area
_SIZE = 7  # font size of labels
_LEADING = 9  # from a line of a label to the next, in typographic points


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A text at a point, in data coordinates; `more` is a fainter line under it."""

    x: float
    y: float
    text: str
    more: str = ""
    colour: str = INK
    bold: bool = False


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    points: Sequence[tuple[float, float]],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
) -> None:
    """Write each label where it covers no other label, no point and no line, if possible.

    Args:
        axes: axes with final limits, of a figure whose layout is final, that is, which was drawn once.
        labels: the labels, the most important first.
        points: points to keep free, in data coordinates.
        lines: x and y of lines to keep free, in data coordinates.
    """
    if not labels:
        return
    figure = axes.figure.figure
    canvas = FigureCanvasAgg(figure)
    renderer: Any = canvas.get_renderer()  # type: ignore[no-untyped-call]
    scale = figure.dpi / 72
    to_pixels = axes.transData.transform
    taken = [_around(to_pixels(np.array(points)), _POINT * scale)] if points else []
    taken += [
        _around(_along(to_pixels(np.column_stack(line))), _LINE * scale) for line in lines if len(line[0])
    ]
    covered = np.concatenate([*taken, np.empty((0, 4))])
    room = np.array(axes.get_window_extent(renderer).extents)
    for label in labels:
        width, height = _size(axes, label, renderer)
        point = to_pixels((label.x, label.y))
        boxes = [_box(point, offset, width, height, scale) for offset in _NEAR + _FAR]
        costs = [
            _shared(box, covered)
            + 10 * (width * height - _shared(box, room[None]))
            + _FAR_COST * _away(offset)
            for box, offset in zip(boxes, _NEAR + _FAR, strict=True)
        ]
        best = int(np.argmin(costs))  # the first of equals
        _write(axes, label, (_NEAR + _FAR)[best])
        covered = np.concatenate([covered, boxes[best][None]])


def _size(axes: Axes, label: Label, renderer: Any) -> tuple[float, float]:
    """Return the width and height of a label in pixels, with a margin of one pixel."""
    extents = []
    for words, weight in ((label.text, _weight(label)), (label.more, "normal")):
        text = axes.text(label.x, label.y, words, fontsize=_SIZE, fontweight=weight)
        extents.append(text.get_window_extent(renderer))
        text.remove()
    below = _LEADING * axes.figure.figure.dpi / 72 if label.more else 0.0
    return max(extent.width for extent in extents) + 2, extents[0].height + below + 2


def _box(
    point: Pixels, offset: tuple[float, float, str, str], width: float, height: float, scale: float
) -> Pixels:
    """Return the box of a label at an offset: left, bottom, right, top, in pixels."""
    dx, dy, horizontal, vertical = offset
    left = point[0] + dx * scale - {"left": 0.0, "center": width / 2, "right": width}[horizontal]
    bottom = point[1] + dy * scale - {"bottom": 0.0, "center": height / 2, "top": height}[vertical]
    return np.array([left, bottom, left + width, bottom + height])


def _away(offset: tuple[float, float, str, str]) -> float:
    """Return how much farther an offset is than the nearest ones, in typographic points."""
    return max(0.0, float(np.hypot(offset[0], offset[1])) - 7.1)


def _write(axes: Axes, label: Label, offset: tuple[float, float, str, str]) -> None:
    dx, dy, horizontal, vertical = offset
    line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "shrinkB": 3}
    above = {"bottom": _LEADING, "center": _LEADING / 2, "top": 0.0}[vertical] if label.more else 0.0
    lines = [(label.text, dy + above, label.colour, _weight(label))]
    lines += [(label.more, dy + above - _LEADING, FAINT, "normal")] if label.more else []
    for words, height, colour, weight in lines:
        text = axes.annotate(
            words,
            (label.x, label.y),
            (dx, height),
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            fontsize=_SIZE,
            color=colour,
            fontweight=weight,
            arrowprops=line if offset in _FAR and words == label.text else None,
            zorder=6,
        )
        text.set_in_layout(False)


def _weight(label: Label) -> str:
    return "bold" if label.bold else "normal"


def _around(centres: Pixels, half: float) -> Boxes:
    """Return squares around centres (N, 2)."""
    return np.concatenate([centres - half, centres + half], axis=1)


def _along(corners: Pixels) -> Pixels:
    """Return positions (N, 2) every few pixels along a line through corners."""
    parts = [corners[-1:]]
    for start, end in pairwise(corners):
        steps = max(1, int(np.hypot(*(end - start)) / _APART))
        parts.append(start + (end - start) * np.arange(steps)[:, None] / steps)
    return np.concatenate(parts)


def _shared(box: Pixels, boxes: Boxes) -> float:
    """Return the area that a box shares with other boxes, in square pixels."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return float(np.prod(np.maximum(sides, 0.0), axis=1).sum())
