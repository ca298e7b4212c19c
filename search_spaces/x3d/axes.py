"""The six axes along which an X3D network grows.

Source: Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020
(arXiv 2004.04730).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, Protocol

from search_spaces.base import Axis
from search_spaces.x3d.factors import MIN_SIZE, Basis, Factors, sampling

_DIGITS = 10  # decimals that a moved factor is rounded to: 1.45, not 1.4500000000000002
_TOLERANCE = 1e-9  # of float arithmetic, in grid steps


class HasBasis(Protocol):
    """A space with a basis, the only part of a space that these axes use."""

    @property
    def basis(self) -> Basis: ...


@dataclass(frozen=True, slots=True)
class FramesAxis:
    """Scale the number of frames by k and the frame rate by k to some power. One step is one frame.

    X-Fast has the power 1 up and down, so the clip's duration is kept; it ends at a stride of one frame.
    X-Temporal has ½ up, so the clip gets longer too, and 0 down, so that the clip only loses frames: that is
    how 16×6, contracted, becomes the published X3D-S, 13×6.
    """

    name: Literal["fast", "temporal"]
    label: str
    power_up: float
    power_down: float

    def move(self, space: HasBasis, point: Factors, steps: int) -> Factors | None:
        if steps == 0:
            return point
        basis = space.basis
        before = sampling(basis, point).frames
        after = before + steps
        if after < 1:
            return None
        growth = (after / before) ** (self.power_up if steps > 0 else self.power_down)
        rate = round(point.rate * growth, _DIGITS)
        if self.power_up == 1 and steps > 0 and rate > basis.stride:  # a stride below one frame
            return None
        return replace(point, frames=round(after / basis.frames, _DIGITS), rate=rate)


@dataclass(frozen=True, slots=True)
class SpatialAxis:
    """Scale the size of the clip. One step is the next multiple of the basis' `size_multiple`, in pixels."""

    name: str = "spatial"
    label: str = "X-Spatial"

    def move(self, space: HasBasis, point: Factors, steps: int) -> Factors | None:
        if steps == 0:
            return point
        basis = space.basis
        size = _grid_index(sampling(basis, point).size / basis.size_multiple, steps) * basis.size_multiple
        return None if size < MIN_SIZE else replace(point, size=size / basis.size)


@dataclass(frozen=True, slots=True)
class GridAxis:
    """Scale the factor that the axis is named after. One step is the next multiple of `resolution`."""

    name: Literal["depth", "width", "bottleneck"]
    label: str

    def move(self, space: HasBasis, point: Factors, steps: int) -> Factors | None:
        if steps == 0:
            return point
        resolution = space.basis.resolution
        index = _grid_index(getattr(point, self.name) / resolution, steps)
        changed: dict[str, Any] = {self.name: round(index * resolution, _DIGITS)}
        return None if index < 1 else replace(point, **changed)


AXES: Mapping[str, Axis[Factors]] = MappingProxyType(
    {
        axis.name: axis
        for axis in (
            FramesAxis("fast", "X-Fast", power_up=1.0, power_down=1.0),
            FramesAxis("temporal", "X-Temporal", power_up=0.5, power_down=0.0),
            SpatialAxis(),
            GridAxis("depth", "X-Depth"),
            GridAxis("width", "X-Width"),
            GridAxis("bottleneck", "X-Bottleneck"),
        )
    }
)


def _grid_index(position: float, steps: int) -> int:
    """Return the grid index `steps` away; from between two indices, the next one is the first step."""
    if steps > 0:
        return math.floor(position + _TOLERANCE) + steps
    return math.ceil(position - _TOLERANCE) + steps
