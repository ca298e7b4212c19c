from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from expand.plots.figures import styled
from expand.plots.over_time import over_time
from expand.predicting.video import Prediction


def drawn(classes: int) -> Figure:
    """Ten moments a second apart: class 0 for six of them, then class 1, then the last class."""
    shares = np.full((10, classes), 0.01)
    shares[:6, 0] = shares[6:9, 1] = shares[9, -1] = 0.9
    found = Prediction(
        video=Path("day.mp4"),
        seconds=10.0,
        classes=tuple(f"class-{number}" for number in range(classes)),
        times=np.arange(10.0),
        probabilities=shares,
    )
    frames = [np.full((20, 30, 3), 30 * number, np.uint8) for number in range(4)]
    return styled(lambda: over_time(found, frames))


@pytest.mark.parametrize("classes", [3, 40])
def test_frames_likeliest_classes_and_probabilities(classes: int) -> None:
    pictures, strip, curves = drawn(classes).axes
    assert [tuple(image.get_extent()) for image in pictures.images] == [
        (begin, begin + 2.5, 0, 1) for begin in (0, 2.5, 5.0, 7.5)
    ]
    bands = [patch for patch in strip.patches if isinstance(patch, Rectangle)]
    assert [(band.get_x(), band.get_width()) for band in bands] == [(0.0, 5.5), (5.5, 3.0), (8.5, 1.5)]
    lines = {line.get_label(): line for line in curves.lines}
    assert list(lines)[:3] == ["class-0", "class-1", f"class-{classes - 1}"]
    assert len(lines) == min(classes, 10)
    for band, name in zip(bands, lines, strict=False):
        assert to_hex(band.get_facecolor()) == lines[name].get_color()
    assert curves.get_legend() is not None
    assert {axes.get_xlim() for axes in (pictures, strip, curves)} == {(0.0, 10.0)}
