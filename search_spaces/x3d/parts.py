"""What the parts of an X3D network do, in amounts from which a device's time follows, without torch.

The parts are the stem, the blocks and the head, as these run one after the other, each as one compiled kernel
on the CPU. Amounts are of one clip; those of several grow alike, but for the weights.
"""

from __future__ import annotations

from search_spaces.base import Part
from search_spaces.x3d.architecture import Architecture, Stage


def parts(architecture: Architecture, num_classes: int = 400) -> list[Part]:
    """The stem, the blocks of each stage, equal ones once, and the head.

    Args:
        architecture: the network, with the frames and the size of its clips.
        num_classes: outputs of the classifier.
    """
    frames, width, side = architecture.frames, architecture.stem_width, (architecture.size + 1) // 2
    found = [_stem(width, frames * side**2)]
    for stage in architecture.stages:
        found.append(_block(stage, width, frames, side, index=0))
        width, side = stage.width, (side + 1) // 2
        if stage.depth > 1:  # blocks 1, 3, 5, … have no squeeze-excite
            found.append(_block(stage, width, frames, side, index=1, count=stage.depth // 2))
        if stage.depth > 2:
            found.append(_block(stage, width, frames, side, index=2, count=(stage.depth - 1) // 2))
    found.append(_head(architecture, width, frames * side**2, num_classes))
    return found


def _stem(width: int, positions: int) -> Part:
    work = {
        "calls": 1,
        "spatial MACs": positions * 27 * width,
        "temporal MACs": positions * 5 * width,
        "elements": positions * width,
    }
    return Part(kind="stem", work=work)


def _block(stage: Stage, width_in: int, frames: int, side: int, *, index: int, count: int = 1) -> Part:
    """The block at an index in its stage, for an input of side × side pixels, which the first one halves."""
    halved = (side + 1) // 2 if index == 0 else side
    positions_in, positions = frames * side**2, frames * halved**2
    inner, width = stage.inner_width, stage.width
    work = {
        "calls": 1,
        "expand MACs": positions_in * width_in * inner,
        "expand elements": positions_in * inner,
        "depthwise MACs": positions * 27 * inner,
        "project MACs": positions * inner * width,
        "elements": positions * width,
        "rows": frames * halved,
        "channels": inner,
        "weights": width_in * inner + 27 * inner + inner * width,
    }
    if index % 2 == 0:
        work |= {
            "squeeze-excite calls": 1,
            "squeeze-excite weights": 2 * inner * stage.squeeze_width,
            "squeeze-excite elements": positions * inner,
        }
    if index == 0:
        work |= {"halving calls": 1, "halving MACs": positions * 27 * inner}
        if stage.shortcut == "B":
            work["shortcut MACs"] = positions * width_in * width
    return Part(kind="block", work=work, count=count)


def _head(architecture: Architecture, width: int, positions: int, num_classes: int) -> Part:
    conv5, hidden = architecture.conv5_width, architecture.head_width
    work = {
        "calls": 1,
        "conv5 MACs": positions * width * conv5,
        "elements": positions * conv5,
        "weights": width * conv5 + conv5 * hidden + hidden * num_classes,
    }
    return Part(kind="head", work=work)
