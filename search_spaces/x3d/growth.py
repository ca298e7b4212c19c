"""The weights of an X3D network that was grown from another: at first it computes what its parent does.

New channels have fresh weights, and what reads them has zeros, so that they change nothing until they are
trained. As a matrix, with the parent's outputs and inputs first:

    weights of a layer  =  [ parent's  0     ]
                           [ fresh     fresh ]

A new block is appended at the end of its stage, so that squeeze-excite keeps its places, and its last
BatchNorm starts at 0, so that the block starts as its shortcut. More frames or pixels change no weight, with
one exception: a network that has seen clips of a single frame has never trained the outer taps of its
temporal kernels, which only met padding. They become 0 when it is given more frames.

Where the child is smaller, the first channels of each layer and the first blocks of each stage are kept, and
the others are cut. That changes the function.

Source of the idea: Chen, Goodfellow and Shlens, "Net2Net", ICLR 2016. There new channels are copies of old
ones; here they are fresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.x3d.architecture import Architecture, Stage
from search_spaces.x3d.network import X3D

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Channels:
    """Which channels of a child's layer are its parent's.

    Attributes:
        parent: (K,) indices of the kept channels in the parent.
        child: (K,) indices of the same channels in the child.
    """

    parent: Tensor
    child: Tensor

    @classmethod
    def first(cls, parent: int, child: int) -> Channels:
        """The first channels, as many as both networks have."""
        kept = torch.arange(min(parent, child))
        return cls(kept, kept)


@dataclass(frozen=True, slots=True)
class Layer:
    """A tensor that parent and child both have: its name, and its kept outputs and inputs.

    Tensors without inputs of their own, such as biases and channelwise kernels, have None there.
    """

    name: str
    outputs: Channels
    inputs: Channels | None = None


@torch.no_grad()
def grow(
    parent: Architecture, weights: Weights, child: Architecture, seed: int, *, residual_start: float = 1.0
) -> dict[str, Tensor]:
    """Return weights for `child`, with which it computes what `parent` computes with `weights`.

    If no part of `child` is smaller, that holds for any clip, in evaluation and in training mode, up to
    rounding. If `parent` has clips of one frame and `child` more, it holds for clips that show the same
    picture in every frame. The statistics of BatchNorm are the parent's as well; where the clips have
    changed, the steps of the training measure them anew.

    The function changes in two rare cases: a stage with a shortcut of type A grows by fewer channels than its
    input, or a shortcut gets or loses its BatchNorm.

    Args:
        parent: the network that `weights` are of.
        weights: the parent's state dict. Its number of classes and its number type are kept.
        child: the network that is to be trained.
        seed: seeds the fresh weights of new channels and blocks.
        residual_start: the initial weight of each block's last BatchNorm in new channels, as in `X3D`.

    Returns:
        The child's state dict, on the CPU, in tensors of its own.

    Raises:
        ValueError: the networks differ in their number of stages, or `weights` are not those of `parent`.
    """
    if len(parent.stages) != len(child.stages):
        raise ValueError(
            f"a network grows to one with as many stages, got {len(parent.stages)} and {len(child.stages)}."
        )
    classes = len(weights.get("head.classifier.bias", [0]))
    _check_parent(parent, weights, classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = X3D(child, classes, residual_start=residual_start).state_dict()
    grown = {name: value.to(weights["head.classifier.weight"].dtype) for name, value in fresh.items()}
    for name in fresh:
        if name.endswith("num_batches_tracked"):
            grown[name] = weights.get(name, fresh[name]).cpu().clone()
    for layer in _layers(parent, child, classes):
        _keep(grown[layer.name], weights[layer.name].cpu(), layer)
    for index, (before, after) in enumerate(zip(parent.stages, child.stages, strict=True)):
        for block in range(before.depth, after.depth):
            grown[f"stages.{index}.blocks.{block}.project_norm.weight"].zero_()
    if parent.frames == 1 < child.frames:
        for name, value in grown.items():
            if name == "stem.temporal.weight" or name.endswith("depthwise.weight"):
                _keep_middle_tap(value)
    return grown


def _layers(parent: Architecture, child: Architecture, classes: int) -> Iterator[Layer]:
    """Yield the tensors that both networks have."""
    stream = Channels.first(parent.stem_width, child.stem_width)
    yield Layer("stem.spatial.weight", stream, Channels.first(3, 3))
    yield Layer("stem.temporal.weight", stream)
    yield from _norm("stem.norm", stream)
    widths = (parent.stem_width, child.stem_width)
    for index, (before, after) in enumerate(zip(parent.stages, child.stages, strict=True)):
        out = _channels_between_blocks(before, after, stream, widths)
        for block in range(min(before.depth, after.depth)):
            yield from _block(f"stages.{index}.blocks.{block}", block, before, after, stream, out)
            stream = out
        widths = (before.width, after.width)
    conv5 = Channels.first(parent.conv5_width, child.conv5_width)
    hidden = Channels.first(parent.head_width, child.head_width)
    yield Layer("head.conv5.weight", conv5, stream)
    yield from _norm("head.conv5_norm", conv5)
    yield Layer("head.hidden.weight", hidden, conv5)
    yield Layer("head.classifier.weight", Channels.first(classes, classes), hidden)
    yield Layer("head.classifier.bias", Channels.first(classes, classes))


def _block(
    name: str, block: int, before: Stage, after: Stage, stream: Channels, out: Channels
) -> Iterator[Layer]:
    """Yield the tensors of a block; `stream` and `out` are the channels of its input and output."""
    inner = Channels.first(before.inner_width, after.inner_width)
    squeezed = Channels.first(before.squeeze_width, after.squeeze_width)
    yield Layer(f"{name}.expand.weight", inner, stream)
    yield from _norm(f"{name}.expand_norm", inner)
    yield Layer(f"{name}.depthwise.weight", inner)
    yield from _norm(f"{name}.depthwise_norm", inner)
    if block % 2 == 0:
        yield Layer(f"{name}.squeeze_excite.squeeze.weight", squeezed, inner)
        yield Layer(f"{name}.squeeze_excite.squeeze.bias", squeezed)
        yield Layer(f"{name}.squeeze_excite.excite.weight", inner, squeezed)
        yield Layer(f"{name}.squeeze_excite.excite.bias", inner)
    yield Layer(f"{name}.project.weight", out, inner)
    yield from _norm(f"{name}.project_norm", out)
    if block == 0 and before.shortcut == after.shortcut == "B":
        yield Layer(f"{name}.shortcut.weight", out, stream)
        if before.shortcut_norm and after.shortcut_norm:
            yield from _norm(f"{name}.shortcut_norm", out)


def _norm(name: str, channels: Channels) -> Iterator[Layer]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield Layer(f"{name}.{part}", channels)


def _channels_between_blocks(
    before: Stage, after: Stage, stream: Channels, widths: tuple[int, int]
) -> Channels:
    """Return the kept channels of a stage's output.

    They are the first ones, unless the shortcut is of type A, which passes its input on to the first channels
    of the output. There, channels of the parent that got zeros from the shortcut must get zeros in the child,
    so they move behind all that the child's wider input fills.

    Args:
        before, after: the stage in the parent and in the child.
        stream: the kept channels of the stage's input.
        widths: the widths of that input, in the parent and in the child.
    """
    narrow, wide = widths
    padded = before.width - narrow  # channels that the shortcut fills with zeros
    typed_a = before.shortcut == after.shortcut == "A"
    if not typed_a or not 0 <= padded <= after.width - wide or wide < narrow:
        return Channels.first(before.width, after.width)
    moved = torch.arange(wide, wide + padded)
    return Channels(torch.arange(before.width), torch.cat([stream.child, moved]))


def _keep(grown: Tensor, value: Tensor, layer: Layer) -> None:
    """Copy the parent's part of a tensor into the child's; kept outputs do not read new inputs."""
    outputs, inputs = layer.outputs, layer.inputs
    if inputs is None:
        grown[outputs.child] = value[outputs.parent]
        return
    grown[outputs.child] = 0
    grown[outputs.child[:, None], inputs.child] = value[outputs.parent[:, None], inputs.parent]


def _keep_middle_tap(kernel: Tensor) -> None:
    """Set the taps of (C, 1, T, H, W) kernels to 0, but for the middle one in time."""
    middle = kernel.shape[2] // 2
    kernel[:, :, :middle] = 0
    kernel[:, :, middle + 1 :] = 0


def _check_parent(parent: Architecture, weights: Weights, classes: int) -> None:
    """Raises ValueError if weights are not those of a network."""
    with torch.device("meta"):
        wanted = X3D(parent, classes).state_dict()
    for name, value in wanted.items():
        given = tuple(weights[name].shape) if name in weights else "none"
        if given != tuple(value.shape):
            raise ValueError(f"{name} of the parent must have the shape {tuple(value.shape)}, got {given}.")
