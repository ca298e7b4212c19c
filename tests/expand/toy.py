"""A space and axes of one's own, outside of the packages: small enough to train in a blink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from search_spaces.base import Axis, ClipSampling, Complexity, Json, StageComplexity


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """Both the point and the architecture: the integers are the factors."""

    frames: int = 1
    width: int = 4
    size: int = 32


class Grow:
    """Adds to one field of a Point."""

    def __init__(self, field: str, name: str | None = None) -> None:
        self.field, self.name = field, name or field
        self.label = f"X-{self.name.title()}"

    def move(self, space: Any, point: Point, steps: int) -> Point | None:
        value = getattr(point, self.field) + steps
        return replace(point, **{self.field: value}) if value > 0 else None


class Both:
    """A seventh axis: frames and width together."""

    name, label = "both", "X-Both"

    def move(self, space: Any, point: Point, steps: int) -> Point | None:
        if min(point.frames, point.width) + steps < 1:
            return None
        return replace(point, frames=point.frames + steps, width=point.width + steps)


class Wider(Grow):
    """The width again, by another name."""

    def __init__(self) -> None:
        super().__init__("width", "wider")


@dataclass(frozen=True, slots=True)
class ToySpace:
    """A linear layer on what each frame looks like on a coarse grid.

    Attributes:
        width: of the start.
        fault: `nan` or `raise`, in networks wider than `fault_above`; `memory`, in passes of more clips.
        fault_above: see there.
    """

    width: int = 4
    fault: str | None = None
    fault_above: int = 0

    @property
    def start(self) -> Point:
        return Point(width=self.width)

    @property
    def axes(self) -> Mapping[str, Axis[Point]]:
        return {name: Grow(name) for name in ("frames", "width")}

    def architecture(self, point: Point) -> Point:
        return point

    def sampling(self, point: Point) -> ClipSampling:
        return ClipSampling(frames=point.frames, stride=max(1, 24 // point.frames), size=point.size)

    def resized(self, architecture: Point, size: int) -> Point:
        return replace(architecture, size=size)

    def complexity(self, architecture: Point, num_classes: int = 400) -> Complexity:
        cells = 3 * architecture.frames * architecture.width**2
        macs, params = cells * num_classes, (cells + 1) * num_classes
        stage = StageComplexity(name="classifier", macs=macs, params=params, activations=num_classes)
        return Complexity(macs=macs, params=params, activations=num_classes, stages=(stage,))

    def build(self, architecture: Point, num_classes: int, **options: Any) -> nn.Module:
        options.pop("residual_start", None)
        return Toy(architecture, num_classes, self.fault, self.fault_above, **options)

    def example(self, architecture: Point, batch: int) -> torch.Tensor:
        return torch.zeros(batch, 3, architecture.frames, architecture.size, architecture.size)

    def describe(self, point: Point) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(point).items()}

    def point_to_json(self, point: Point) -> Json:
        return asdict(point)

    def point_from_json(self, values: Json) -> Point:
        return Point(**values)

    architecture_to_json = point_to_json
    architecture_from_json = point_from_json


@dataclass(frozen=True, slots=True)
class GrowingToySpace(ToySpace):
    """A toy space whose grown networks keep their parent's biases, so that a test can tell the parent."""

    def grow(
        self,
        parent: Point,
        weights: Mapping[str, torch.Tensor],
        child: Point,
        seed: int,
        *,
        residual_start: float = 1.0,
    ) -> dict[str, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            grown = self.build(child, len(weights["classifier.bias"])).state_dict()
        return {**grown, "classifier.bias": weights["classifier.bias"].clone()}


class Toy(nn.Module):
    """(B, 3, T, S, S) clips to (B, classes) logits."""

    def __init__(
        self, point: Point, num_classes: int, fault: str | None, fault_above: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d((point.frames, point.width, point.width))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(3 * point.frames * point.width**2, num_classes)
        self.width, self.fault, self.fault_above = point.width, fault, fault_above

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        if self.fault == "memory" and self.training and len(clips) > self.fault_above:
            raise torch.OutOfMemoryError("a device without memory")
        logits: torch.Tensor = self.classifier(self.dropout(self.pool(clips).flatten(1)))
        if self.width > self.fault_above and self.fault == "nan":
            return logits * float("nan")
        if self.width > self.fault_above and self.fault == "raise":
            raise RuntimeError("this network is broken\nin many ways")
        return logits
