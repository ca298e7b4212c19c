"""Colours that everybody can tell apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from expand.plots.style import axis_look
from expand.run.record import RunRecord

# What a colour looks like without one kind of cone, on linear RGB. Source: Machado, Oliveira and Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 2009, severity 1.0.
SEEN = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no L cones": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ],
    "no M cones": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ],
    "no S cones": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip
Colour = NDArray[np.float64]


def linear(colour: str) -> Colour:
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    """CIE L*a*b* of linear sRGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = (np.array(to_xyz) @ rgb) / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(np.maximum(xyz, 1e-9)), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", SEEN)
def test_the_six_axes_are_told_apart_by_all_eyes(eyes: str, short: RunRecord) -> None:
    looks = {name: axis_look(name, short) for name in short.setup.axes}
    seen = {
        name: lab(np.clip(np.array(SEEN[eyes]) @ linear(look.colour), 0, 1)) for name, look in looks.items()
    }
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)}
    assert min(distances.values()) > 20, distances  # a just noticeable difference is about 2.3


def test_each_axis_has_a_shape_of_its_own_and_is_dark_enough_for_print(short: RunRecord) -> None:
    looks = [axis_look(name, short) for name in short.setup.axes]
    assert len({look.marker for look in looks}) == len(looks)
    assert all(lab(linear(look.colour))[0] < 70 for look in looks)
