"""The cost of an X3D network in closed form, without torch and in tens of microseconds.

Mirrors layers.py and network.py: the same modules, in the same order, under the same names. The cost of a
convolution over `positions` outputs (T·H·W) with `weights` weights and C output channels is

    MACs = positions · weights,  parameters = weights (+ C with a bias),  activations = positions · C,

and a BatchNorm has 2 · C parameters. Height and width are halved, rounded up, by the stem and by each stage;
time is never strided.
"""

from __future__ import annotations

from search_spaces.base import Complexity, StageComplexity
from search_spaces.x3d.architecture import Architecture, Stage

Counts = tuple[int, int, int]  # MACs, parameters, activations


def complexity(architecture: Architecture, num_classes: int = 400) -> Complexity:
    """The cost of a network with a clip head, for one clip of the size that it is built for (one view).

    Units and what is left out: see `Complexity`. Known error: none; equal to fvcore's count of convolutions
    and linear layers to the last digit (tests/search_spaces/test_complexity.py).

    Args:
        architecture: the network.
        num_classes: outputs of the classifier; the published figures are of Kinetics-400.
    """
    frames = architecture.frames
    size = (architecture.size + 1) // 2
    width = architecture.stem_width
    stages = [_entry("stem", _stem(width, frames * size * size))]
    for number, stage in enumerate(architecture.stages, start=2):
        positions_in, size = frames * size * size, (size + 1) // 2
        stages.append(_entry(f"res{number}", _stage(stage, width, positions_in, frames * size * size)))
        width = stage.width
    stages.append(_entry("head", _head(architecture, width, frames * size * size, num_classes)))
    return Complexity(
        macs=sum([stage.macs for stage in stages]),
        params=sum([stage.params for stage in stages]),
        activations=sum([stage.activations for stage in stages]),
        stages=tuple(stages),
    )


def _stem(width: int, positions: int) -> Counts:
    spatial = 3 * 9 * width  # 1×3×3 on 3 channels
    temporal = 5 * width  # 5×1×1, depthwise
    norm = 2 * width
    return (
        positions * (spatial + temporal),
        spatial + temporal + norm,
        positions * (width + width),
    )


def _stage(stage: Stage, width_in: int, positions_in: int, positions: int) -> Counts:
    # The first block has a shortcut layer, and its expand comes before the stride; all others are equal.
    first = _block(stage, width_in, positions_in, positions)
    shortcut = _shortcut(stage, width_in, positions)
    other = _block(stage, stage.width, positions, positions)
    others = stage.depth - 1
    squeeze_excite = _squeeze_excite(stage)
    squeeze_excites = (stage.depth + 1) // 2  # blocks 0, 2, 4, …
    return (
        first[0] + shortcut[0] + others * other[0] + squeeze_excites * squeeze_excite[0],
        first[1] + shortcut[1] + others * other[1] + squeeze_excites * squeeze_excite[1],
        first[2] + shortcut[2] + others * other[2] + squeeze_excites * squeeze_excite[2],
    )


def _block(stage: Stage, width_in: int, positions_in: int, positions: int) -> Counts:
    width, inner = stage.width, stage.inner_width
    expand = width_in * inner
    expand_norm = 2 * inner
    depthwise = 27 * inner  # 3×3×3
    depthwise_norm = 2 * inner
    project = inner * width
    project_norm = 2 * width
    return (
        positions_in * expand + positions * (depthwise + project),
        expand + expand_norm + depthwise + depthwise_norm + project + project_norm,
        positions_in * inner + positions * (inner + width),
    )


def _shortcut(stage: Stage, width_in: int, positions: int) -> Counts:
    if stage.shortcut == "A":
        return 0, 0, 0
    shortcut = width_in * stage.width
    shortcut_norm = 2 * stage.width if stage.shortcut_norm else 0
    return positions * shortcut, shortcut + shortcut_norm, positions * stage.width


def _squeeze_excite(stage: Stage) -> Counts:
    inner, squeezed = stage.inner_width, stage.squeeze_width  # one position, as pooling comes first
    squeeze = inner * squeezed
    squeeze_bias = squeezed
    excite = squeezed * inner
    excite_bias = inner
    return squeeze + excite, squeeze + squeeze_bias + excite + excite_bias, squeezed + inner


def _head(architecture: Architecture, width: int, positions: int, num_classes: int) -> Counts:
    conv5 = width * architecture.conv5_width
    conv5_norm = 2 * architecture.conv5_width
    hidden = architecture.conv5_width * architecture.head_width  # one position from here on, after pooling
    classifier = architecture.head_width * num_classes
    classifier_bias = num_classes
    return (
        positions * conv5 + hidden + classifier,
        conv5 + conv5_norm + hidden + classifier + classifier_bias,
        positions * architecture.conv5_width + architecture.head_width + num_classes,
    )


def _entry(name: str, counts: Counts) -> StageComplexity:
    return StageComplexity(name=name, macs=counts[0], params=counts[1], activations=counts[2])
