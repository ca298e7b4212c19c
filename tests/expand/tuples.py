"""A space of one's own whose architectures are tuples: only the space knows what their numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import nn

from search_spaces.base import Axis, ClipSampling, Complexity, Json
from tests.expand.toy import Grow, Point, ToySpace

Numbers = tuple[int, int, int]  # frames, width and size

_TOY = ToySpace()


@dataclass(frozen=True)
class TupleSpace:
    """The networks of the toy space."""

    width: int = 4

    @property
    def start(self) -> Point:
        return Point(width=self.width)

    @property
    def axes(self) -> Mapping[str, Axis[Point]]:
        return {name: Grow(name) for name in ("frames", "width")}

    def architecture(self, point: Point) -> Numbers:
        frames, width, size = astuple(point)
        return frames, width, size

    def sampling(self, point: Point) -> ClipSampling:
        return _TOY.sampling(point)

    def resized(self, architecture: Numbers, size: int) -> Numbers:
        frames, width, _ = architecture
        return frames, width, size

    def complexity(self, architecture: Numbers, num_classes: int = 400) -> Complexity:
        return _TOY.complexity(_point(architecture), num_classes)

    def build(self, architecture: Numbers, num_classes: int, **options: Any) -> nn.Module:
        return _TOY.build(_point(architecture), num_classes, **options)

    def example(self, architecture: Numbers, batch: int) -> torch.Tensor:
        return _TOY.example(_point(architecture), batch)

    def describe(self, point: Point) -> dict[str, str]:
        return _TOY.describe(point)

    def point_to_json(self, point: Point) -> Json:
        return _TOY.point_to_json(point)

    def point_from_json(self, values: Json) -> Point:
        return _TOY.point_from_json(values)

    def architecture_to_json(self, architecture: Numbers) -> Json:
        return {"numbers": list(architecture)}

    def architecture_from_json(self, values: Json) -> Numbers:
        frames, width, size = values["numbers"]
        return frames, width, size


def _point(architecture: Numbers) -> Point:
    frames, width, size = architecture
    return Point(frames=frames, width=width, size=size)
