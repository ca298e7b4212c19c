"""Points of the X3D space: six factors, the basis that they scale, the published networks.

Source of factors and published points: Feichtenhofer, "X3D: Expanding Architectures for Efficient Video
Recognition", CVPR 2020 (arXiv 2004.04730).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from search_spaces.base import ClipSampling

MIN_SIZE = 32  # pixels: the stem and the four stages halve the frame five times


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Factors:
    """A point of the X3D space, relative to the basis, where every factor is 1.

    Attributes:
        frames: γt, frames in a clip.
        rate: γτ, sampling rate; the stride in source frames is the stride of the basis over it, rounded.
        size: γs, side of the square crop.
        width: γw, channels of every stage.
        bottleneck: γb, inner over outer channels of a block.
        depth: γd, blocks of every stage.

    Source: Feichtenhofer, CVPR 2020, table 1.
    """

    frames: float = 1.0
    rate: float = 1.0
    size: float = 1.0
    width: float = 1.0
    bottleneck: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not _is_number(value) or not 0 < value < math.inf:  # this way round, NaN is refused too
                raise ValueError(f"factor {field.name} must be a finite number above 0, got {value!r}.")
            object.__setattr__(self, field.name, float(value))  # 2 and 2.0 are one point, in JSON too


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """The network and clips where every factor is 1, and how finely the factors move. The default is X2D.

    Attributes:
        frames: frames in a clip.
        stride: distance between two frames of a clip, in source frames. 48 at 30 fps, 1.6 s, is inferred:
            X-Fast twice from it gives the published 4×12, X-Temporal twice more 16×6.
        fps: the frame rate that `stride` counts in.
        size: side of the square crop, in pixels.
        stem_width: channels of the stem.
        widths: channels of each stage, from res2.
        depths: blocks of each stage.
        head_width: channels of the last hidden layer; no factor scales them.
        width_multiple: scaled widths are multiples of this. 8 is the paper's and PyTorchVideo's; SlowFast's
            own X3D has had 1 since June 2021, which makes its XL another network.
        norm_every_shortcut: the shortcut of a stage's first block has a BatchNorm even where it keeps the
            width (res2), as in SlowFast. PyTorchVideo leaves that one out: 48 parameters fewer.
        shortcut: type of the shortcut of each stage's first block: B, a 1×1×1 convolution, as published;
            A, an identity padded with channels of zeros, as X3D-Multigrid offers it.
        resolution: the step of the grid on which depth, width and bottleneck move.
        size_multiple: the step of the grid on which the size moves, in pixels.
    """

    frames: int = 1
    stride: int = 48
    fps: float = 30.0
    size: int = 112
    stem_width: int = 24
    widths: tuple[int, ...] = (24, 48, 96, 192)
    depths: tuple[int, ...] = (1, 2, 5, 3)
    head_width: int = 2048
    width_multiple: int = 8
    norm_every_shortcut: bool = True
    shortcut: Literal["A", "B"] = "B"
    # 0.05 is deliberate: the published 2.25, 2.2, 5 and 1.45 lie on this grid, and it reaches every distinct
    # depth of X2D. On a finer one the largest γb within a doubling is 2.28 (41.3 M), not the paper's 2.25.
    resolution: float = 0.05
    size_multiple: int = 8

    def __post_init__(self) -> None:
        for name in ("widths", "depths"):
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)) or not value or not all(_is_count(v) for v in value):
                raise ValueError(f"{name} must be whole numbers of at least 1, one a stage, got {value!r}.")
            object.__setattr__(self, name, tuple(value))  # YAML has lists
        counts = ("frames", "stride", "size", "stem_width", "head_width", "width_multiple", "size_multiple")
        for name in counts:
            if not _is_count(value := getattr(self, name)):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
        for name in ("fps", "resolution"):
            if not _is_number(value := getattr(self, name)) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, got {value!r}.")
            object.__setattr__(self, name, float(value))
        if not isinstance(self.norm_every_shortcut, bool):
            raise ValueError(f"norm_every_shortcut must be true or false, got {self.norm_every_shortcut!r}.")
        if self.shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be 'A' or 'B', got {self.shortcut!r}.")
        if self.size < MIN_SIZE:
            raise ValueError(f"size must be at least {MIN_SIZE} pixels, got {self.size}.")
        if len(self.widths) != len(self.depths):
            raise ValueError(
                f"widths and depths must have one value a stage each, "
                f"got {len(self.widths)} widths and {len(self.depths)} depths."
            )
        for width in (self.stem_width, *self.widths):
            if width % self.width_multiple:
                raise ValueError(
                    f"stem_width and widths must be multiples of width_multiple ({self.width_multiple}), "
                    f"got {width}: change them, or set width_multiple."
                )


def sampling(basis: Basis, factors: Factors) -> ClipSampling:
    """Return the clips at a point, with frames, stride and size as whole numbers."""
    return ClipSampling(
        frames=round(factors.frames * basis.frames),
        stride=max(1, round(basis.stride / factors.rate)),
        size=round(factors.size * basis.size),
        fps=basis.fps,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published network: a point over the default basis, and the size of its test clips.

    Attributes:
        name: such as `x3d-m`.
        factors: the point; frames, rate and size give exactly the published clip.
        test_size: side of the three crops of the 30-view test, in pixels; None where none is published. The
            10-view test has one centre crop of the clip's own size.
    """

    name: str
    factors: Factors
    test_size: int | None


def _point(
    name: str, frames: int, stride: int, size: int, test_size: int | None, depth: float, width: float = 1.0
) -> Published:
    basis = Basis()
    return Published(
        name=name,
        factors=Factors(
            frames=frames / basis.frames,
            rate=basis.stride / stride,
            size=size / basis.size,
            width=width,
            bottleneck=2.25,
            depth=depth,
        ),
        test_size=test_size,
    )


# Source: the paper's table 3 and SlowFast's configs/Kinetics/X3D_*.yaml at 287ec007.
PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Published(name="x2d", factors=Factors(), test_size=None),
            _point("x3d-xs", 4, 12, 160, 182, depth=2.2),
            _point("x3d-s", 13, 6, 160, 182, depth=2.2),
            _point("x3d-m", 16, 5, 224, 256, depth=2.2),
            _point("x3d-l", 16, 5, 312, 356, depth=5.0),
            _point("x3d-xl", 16, 5, 312, 356, depth=5.0, width=1.45),
        )
    }
)


def published(name: str) -> Published:
    """Return a published network by its name, such as `x3d-m`; upper and lower case are alike.

    Raises:
        ValueError: no published network has that name.
    """
    if (network := PUBLISHED.get(name.lower())) is None:
        raise ValueError(f"a published network must be one of {', '.join(PUBLISHED)}, got {name!r}.")
    return network
