"""Spaces whose networks go wrong: each axis but `frames` leads to a fault of its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_spaces.base import Axis, Json
from tests.expand.toy import Grow, Point, Toy, ToySpace


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultyPoint(Point):
    """A network with a fault, or with none."""

    fault: str = ""


class Break:
    """Widens the network, which is then not well."""

    def __init__(self, fault: str) -> None:
        self.name, self.label = fault, f"X-{fault}"

    def move(self, space: Any, point: FaultyPoint, steps: int) -> FaultyPoint | None:
        return replace(point, width=point.width + steps, fault=self.name) if steps > 0 else None


@dataclass(frozen=True, slots=True)
class FaultySpace(ToySpace):
    """A toy space with a sound axis, frames, and faulty ones.

    Attributes:
        faults: names of the faulty axes.
        pause: seconds that each training step takes besides.
        deadly_while: a file; while it is there, every network kills its process.
    """

    faults: tuple[str, ...] = ()
    pause: float = 0.0
    deadly_while: str | None = None

    @property
    def start(self) -> FaultyPoint:
        return FaultyPoint(width=self.width)

    @property
    def axes(self) -> Mapping[str, Axis[Any]]:
        return {"frames": Grow("frames"), **{fault: Break(fault) for fault in self.faults}}

    def build(self, architecture: Point, num_classes: int, **options: Any) -> nn.Module:
        if self.deadly_while is not None and Path(self.deadly_while).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        options.pop("residual_start", None)
        assert isinstance(architecture, FaultyPoint)
        return Faulty(architecture, num_classes, self.pause, **options)

    def point_to_json(self, point: Point) -> Json:
        return asdict(point)

    def point_from_json(self, values: Json) -> FaultyPoint:
        return FaultyPoint(**values)

    architecture_to_json = point_to_json
    architecture_from_json = point_from_json


class Faulty(Toy):
    """The toy network, and its fault in training."""

    def __init__(self, point: FaultyPoint, num_classes: int, pause: float, dropout: float = 0.0) -> None:
        super().__init__(point, num_classes, None, 0, dropout)
        self.kind, self.pause = point.fault, pause

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        if self.training:
            time.sleep(self.pause)
        logits = super().forward(clips)
        match self.kind if self.training else "":
            case "nan" | "inf":
                return logits * float(self.kind)
            case "raise":
                raise RuntimeError("this network is broken\nin many ways")
            case "device-memory":
                raise torch.OutOfMemoryError("a device without memory")
            case "host-memory":
                return logits + torch.ones(1 << 50)  # a petabyte: the allocator itself refuses
            case "hang":
                while True:
                    time.sleep(0.1)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
        return logits


NAME = f"{__name__}:{FaultySpace.__name__}"
