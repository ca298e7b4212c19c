"""How much of an X3D network's activations is in memory at once in inference, in closed form, without torch.

As a runtime for inference keeps them: a tensor is freed after the last layer that reads it, also the clip; a
BatchNorm is part of the convolution before it; and an activation, the gate of squeeze-excite and the addition
of a shortcut write over their input.
"""

from __future__ import annotations

from collections.abc import Iterator

from search_spaces.x3d.architecture import Architecture, Stage


def peak(architecture: Architecture, num_classes: int = 400) -> int:
    """The largest number of elements that are in memory at once while a network with a clip head sees a clip.

    Args:
        architecture: the network, with the frames and the size of its clips.
        num_classes: outputs of the classifier.
    """
    return max(_at_once(architecture, num_classes))


def _at_once(architecture: Architecture, num_classes: int) -> Iterator[int]:
    """The elements of what each layer reads, writes, and leaves for a later one."""
    frames, size = architecture.frames, (architecture.size + 1) // 2
    clip = 3 * frames * architecture.size**2
    positions, width = frames * size * size, architecture.stem_width
    yield clip + width * positions  # the spatial convolution
    yield 2 * width * positions  # the temporal one
    for stage in architecture.stages:
        size = (size + 1) // 2
        halved, before = frames * size * size, width * positions
        output = stage.width * halved
        yield before + output  # the shortcut of the first block comes first, and is kept instead of its input
        yield before + output + stage.inner_width * positions
        yield from _block(stage, output, positions, halved)
        yield from _squeeze_excite(stage, output, halved)
        if stage.depth > 1:
            yield from _block(stage, output, halved, halved)
        if stage.depth > 2:  # blocks 0, 2, 4, … have it
            yield from _squeeze_excite(stage, output, halved)
        width, positions = stage.width, halved
    pooled = architecture.conv5_width
    yield (width + architecture.conv5_width) * positions
    yield pooled * positions + pooled
    yield pooled + architecture.head_width
    yield architecture.head_width + num_classes


def _block(stage: Stage, kept: int, positions_in: int, positions: int) -> Iterator[int]:
    """Of a block, beside what is kept for the addition: its input, or the shortcut."""
    expanded, inner = stage.inner_width * positions_in, stage.inner_width * positions
    yield kept + expanded
    yield kept + expanded + inner  # the channelwise convolution
    yield kept + inner + stage.width * positions  # the projection


def _squeeze_excite(stage: Stage, kept: int, positions: int) -> Iterator[int]:
    inner = stage.inner_width * positions
    yield kept + inner + stage.inner_width + stage.squeeze_width  # the means or the gate, and what is between
