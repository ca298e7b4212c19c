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

from expand.plots.style import INK

Pixels = NDArray[np.float64]
Boxes = NDArray[np.float64]  # (N, 4): left, bottom, right, top, in pixels

# Where a label may stand, in points from its point and as (horizontal, vertical) alignment; the first that
# is free is taken. Those further away get a line to their point.
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
_POINT = 3.5  # half the side of what a point takes, in points
_LINE = 1.0  # half of what a line takes
_APART = 4  # pixels between two places at which a line is kept free
_FAR_COST = 1.5  # square pixels of covering that a point of distance is worth
_SIZE = 7  # of a label's letters, in points


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A text at a point, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str = INK
    bold: bool = False


def place(
    axes: Axes,
    labels: Sequence[Label],
    points: Sequence[tuple[float, float]],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
) -> None:
    """Write each label where it covers no other label, no point and no line.

    Args:
        axes: with its limits as they will stay, of a figure that was drawn once, which settles its layout.
        labels: the most important first.
        points: what else is to be kept free, in data coordinates.
        lines: the x and y of lines through points, to be kept free too.
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
    """Width and height of a label in pixels, with a margin of one."""
    text = axes.text(label.x, label.y, label.text, fontsize=_SIZE, fontweight=_weight(label))
    extent = text.get_window_extent(renderer)
    text.remove()
    return extent.width + 2, extent.height + 2


def _box(
    point: Pixels, offset: tuple[float, float, str, str], width: float, height: float, scale: float
) -> Pixels:
    """What a label would take at an offset: left, bottom, right, top."""
    dx, dy, horizontal, vertical = offset
    left = point[0] + dx * scale - {"left": 0.0, "center": width / 2, "right": width}[horizontal]
    bottom = point[1] + dy * scale - {"bottom": 0.0, "center": height / 2, "top": height}[vertical]
    return np.array([left, bottom, left + width, bottom + height])


def _away(offset: tuple[float, float, str, str]) -> float:
    """How far a label is from where it could be nearest, in points."""
    return max(0.0, float(np.hypot(offset[0], offset[1])) - 7.1)


def _write(axes: Axes, label: Label, offset: tuple[float, float, str, str]) -> None:
    dx, dy, horizontal, vertical = offset
    line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "shrinkB": 3}
    text = axes.annotate(
        label.text,
        (label.x, label.y),
        (dx, dy),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        fontsize=_SIZE,
        color=label.colour,
        fontweight=_weight(label),
        arrowprops=line if offset in _FAR else None,
        zorder=6,
    )
    text.set_in_layout(False)


def _weight(label: Label) -> str:
    return "bold" if label.bold else "normal"


def _around(centres: Pixels, half: float) -> Boxes:
    """Squares around (N, 2) centres."""
    return np.concatenate([centres - half, centres + half], axis=1)


def _along(corners: Pixels) -> Pixels:
    """(N, 2) pixels a few apart along a line through corners."""
    found = [corners[-1:]]
    for start, end in pairwise(corners):
        steps = max(1, int(np.hypot(*(end - start)) / _APART))
        found.append(start + (end - start) * np.arange(steps)[:, None] / steps)
    return np.concatenate(found)


def _shared(box: Pixels, boxes: Boxes) -> float:
    """The area that a box shares with others, in square pixels."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return float(np.prod(np.maximum(sides, 0.0), axis=1).sum())
