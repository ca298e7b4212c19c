"""The networks that other projects build from their arguments: every width and depth, by their rounding.

The projects round differently. At γw 1.45, the published XL, the stem and the stages have 35, 35, 70, 139,
278 channels in SlowFast's X3D, 32, 32, 72, 136, 280 in PyTorchVideo's, and 32, 32, 64, 128, 256 in
MMAction2's.

Source: facebookresearch/SlowFast at 287ec007 (slowfast/models: video_model_builder.py, utils.py,
operators.py, ptv_model_builder.py), facebookresearch/pytorchvideo at f3142bb0 (pytorchvideo/models/x3d.py,
layers/utils.py), open-mmlab/mmaction2 at 4d6c9347 (mmaction/models/backbones/x3d.py, heads/x3d_head.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.x3d.architecture import Architecture, Stage, round_width

DEPTHS = (1, 2, 5, 3)  # blocks of res2 to res5 where the depth factor is 1; no argument changes them
_SQUEEZE = 1 / 16
_EIGHT = 8  # in all projects, unscaled widths and those of squeeze-excite are multiples of this


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The arguments from which a target builds a network.

    Attributes:
        width: SlowFast's X3D.WIDTH_FACTOR, PyTorchVideo's width_factor, MMAction2's gamma_w.
        bottleneck: X3D.BOTTLENECK_FACTOR, bottleneck_factor, gamma_b.
        depth: X3D.DEPTH_FACTOR, depth_factor, gamma_d.
        base: the channels that `width` scales: X3D.DIM_C1, stem_dim_in; 24 in MMAction2.
        hidden: X3D.DIM_C5, head_dim_out; 2048 in MMAction2.
        scale_res2: X3D.SCALE_RES2, of SlowFast's own X3D alone: res2 is twice as wide as the stem.
    """

    width: float
    bottleneck: float
    depth: float
    base: int = 12
    hidden: int = 2048
    scale_res2: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Another project's X3D, and how it rounds widths.

    Attributes:
        name: its name in messages.
        divisor: scaled widths are multiples of this.
        least: the smallest width.
        base: the only possible base; None for any.
        hidden: the only possible width of the hidden layer; None for any.
        doubled: whether the stem's width is rounded and then doubled from stage to stage; else each stage's
            width is rounded by itself.
        scales_res2: whether it has the argument `scale_res2`.
        norm_every_shortcut: the shortcut of a stage's first block has a BatchNorm even where it keeps the
            width.
    """

    name: str
    divisor: int
    least: int
    base: int | None = None
    hidden: int | None = None
    doubled: bool = False
    scales_res2: bool = False
    norm_every_shortcut: bool = True

    def bases(self, base: int, scale_res2: bool = False) -> tuple[int, ...]:
        """Return the channels of the stem and of res2 to res5 for a width factor of 1."""
        if self.doubled:
            return (base, *(base * 2**index for index in range(4)))
        res2 = round_width(base, 2.0, _EIGHT, self.least) if scale_res2 else base
        widths = [res2]
        while len(widths) < len(DEPTHS):
            widths.append(round_width(widths[-1], 2.0, _EIGHT, self.least))
        return (base, *widths)

    def widths(self, base: int, width: float, scale_res2: bool = False) -> tuple[int, ...]:
        """Return the channels of the stem and of res2 to res5."""
        if self.doubled:
            return self.bases(round_width(base, width, self.divisor, self.least))
        return tuple(
            round_width(each, width, self.divisor, self.least) for each in self.bases(base, scale_res2)
        )

    def build(self, arguments: Arguments, *, frames: int, size: int) -> Architecture:
        """Return the network that the target builds from its arguments."""
        stem, *widths = self.widths(arguments.base, arguments.width, arguments.scale_res2)
        stages: list[Stage] = []
        width_in = stem
        for width, base_depth in zip(widths, DEPTHS, strict=True):
            inner_width = max(1, int(arguments.bottleneck * width))
            stages.append(
                Stage(
                    width=width,
                    inner_width=inner_width,
                    squeeze_width=round_width(inner_width, _SQUEEZE, _EIGHT, _EIGHT),
                    depth=math.ceil(arguments.depth * base_depth),
                    shortcut_norm=self.norm_every_shortcut or width != width_in,
                )
            )
            width_in = width
        return Architecture(
            frames=frames,
            size=size,
            stem_width=stem,
            stages=tuple(stages),
            conv5_width=stages[-1].inner_width,
            head_width=self.hidden or arguments.hidden,
        )


SLOWFAST = Target(name="SlowFast's X3D", divisor=1, least=1, scales_res2=True)
# SlowFast's second X3D, which it builds from PyTorchVideo's layers.
SLOWFAST_PTV = Target(name="SlowFast's PTVX3D", divisor=8, least=8, norm_every_shortcut=False)
PYTORCHVIDEO = Target(name="PyTorchVideo's create_x3d", divisor=8, least=8, norm_every_shortcut=False)
MMACTION2 = Target(name="MMAction2's X3D", divisor=8, least=8, base=24, hidden=2048, doubled=True)
