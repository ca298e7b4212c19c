"""The architecture at a point of the space: every width, depth and size as a whole number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from search_spaces.base import Json
from search_spaces.x3d.factors import MIN_SIZE, Basis, Factors, sampling

_SQUEEZE_RATIO = 0.0625  # width of squeeze-excite over the inner width of its block
_SQUEEZE_MULTIPLE = 8  # even where the widths of stages are multiples of another number, as in SlowFast


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage: `depth` blocks, the first of which halves height and width.

    Attributes:
        width: channels between blocks.
        inner_width: channels inside a block, at its depthwise convolution.
        squeeze_width: channels inside squeeze-excite, which blocks 0, 2, 4, … have.
        depth: blocks.
        shortcut_norm: whether the shortcut of the first block has a BatchNorm.
        shortcut: type of the first block's shortcut: B is a 1×1×1 convolution; A has no weights: it takes
            every second pixel and pads the channels with zeros.
    """

    width: int
    inner_width: int
    squeeze_width: int
    depth: int
    shortcut_norm: bool
    shortcut: Literal["A", "B"] = "B"

    def __post_init__(self) -> None:
        _check_counts(self, "width", "inner_width", "squeeze_width", "depth")
        if self.shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be 'A' or 'B', got {self.shortcut!r}.")
        if self.shortcut == "A" and self.shortcut_norm:
            raise ValueError(
                "shortcut_norm must be false where the shortcut is of type A: it has no weights."
            )

    def to_json(self) -> Json:
        """The fields as JSON; the usual shortcut, B, is left out."""
        values = asdict(self)
        if self.shortcut == "B":
            del values["shortcut"]
        return values


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A network and the clips that it is built for, as integers; equal values are the same network.

    Frames and size fix its cost, not its weights: the network takes clips of any length, and of any size from
    32 pixels.

    Attributes:
        frames: frames in a clip.
        size: side of the square crop, in pixels.
        stem_width: channels of the stem.
        stages: the stages from res2 on.
        conv5_width: channels of the head's convolution before the pool.
        head_width: channels of the last hidden layer.
    """

    frames: int
    size: int
    stem_width: int
    stages: tuple[Stage, ...]
    conv5_width: int
    head_width: int

    def __post_init__(self) -> None:
        _check_counts(self, "frames", "size", "stem_width", "conv5_width", "head_width")
        if self.size < MIN_SIZE:
            raise ValueError(f"size must be at least {MIN_SIZE} pixels, got {self.size}.")
        if not self.stages:
            raise ValueError("stages must be one or more, got none.")
        width_in = self.stem_width
        for stage in self.stages:
            if stage.shortcut == "A" and stage.width < width_in:
                raise ValueError(
                    f"a stage with shortcuts of type A must not be narrower than its input, "
                    f"got {stage.width} after {width_in} channels."
                )
            width_in = stage.width

    def to_json(self) -> Json:
        return {**asdict(self), "stages": [stage.to_json() for stage in self.stages]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        _check_keys(cls, values)
        for stage in values["stages"]:
            _check_keys(Stage, {"shortcut": "B", **stage})
        return cls(**{**values, "stages": tuple(Stage(**stage) for stage in values["stages"])})


def architecture(basis: Basis, factors: Factors) -> Architecture:
    """Return the network at a point, rounded as the published networks are."""
    clip = sampling(basis, factors)
    stem_width = round_width(basis.stem_width, factors.width, basis.width_multiple)
    stages: list[Stage] = []
    width_in = stem_width
    for base_width, base_depth in zip(basis.widths, basis.depths, strict=True):
        width = round_width(base_width, factors.width, basis.width_multiple)
        inner_width = max(1, int(factors.bottleneck * width))
        stages.append(
            Stage(
                width=width,
                inner_width=inner_width,
                squeeze_width=squeeze_width(inner_width),
                depth=math.ceil(factors.depth * base_depth - 1e-9),  # 2.2 · 25 is 55.000…01
                shortcut_norm=basis.shortcut == "B" and (basis.norm_every_shortcut or width != width_in),
                shortcut=basis.shortcut,
            )
        )
        width_in = width
    return Architecture(
        frames=clip.frames,
        size=clip.size,
        stem_width=stem_width,
        stages=tuple(stages),
        conv5_width=stages[-1].inner_width,
        head_width=basis.head_width,
    )


def squeeze_width(inner_width: int) -> int:
    """Return the channels inside squeeze-excite, given the inner width of its block."""
    return round_width(inner_width, _SQUEEZE_RATIO, _SQUEEZE_MULTIPLE)


def round_width(width: int, factor: float, multiple: int, least: int | None = None) -> int:
    """Round `width · factor` to the nearest multiple, at least `least` or else one multiple.

    Up if that would lose over a tenth. Source: `round_width` of SlowFast and of PyTorchVideo.
    """
    scaled = width * factor
    rounded = max(least or multiple, int(scaled + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * scaled else rounded


def _check_counts(value: object, *names: str) -> None:
    for name in names:
        count = getattr(value, name)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}.")


def _check_keys(cls: type[Architecture] | type[Stage], values: Mapping[str, Any]) -> None:
    expected = {field.name for field in fields(cls)}
    if values.keys() != expected:
        raise ValueError(
            f"the JSON of an X3D {cls.__name__} must have exactly the keys {', '.join(sorted(expected))}, "
            f"got {', '.join(sorted(values))}."
        )
