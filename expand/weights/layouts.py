"""Converts X3D state dicts between xpand's layout and those of PyTorchVideo, SlowFast and X3D-Multigrid.

Source of the names: PyTorchVideo (f3142bb0), SlowFast (287ec007), X3D-Multigrid (d63d8fe6).

Two layouts differ in more than names. PyTorchVideo has no BatchNorm on a shortcut that keeps the width. On
export, such a BatchNorm is folded into the shortcut's convolution and into the bias of the last BatchNorm of
the block's other branch, which is exact in evaluation; on import, an identity BatchNorm is added.
X3D-Multigrid keeps BatchNorm statistics of each split of a batch, besides those of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.layers import EPS

Layout = Literal["slowfast", "pytorchvideo", "multigrid"]
LAYOUTS: tuple[Layout, ...] = ("slowfast", "pytorchvideo", "multigrid")
SPLITS = 8  # splits of a batch in X3D-Multigrid's network, before a long cycle multiplies them

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_NORM = ("weight", "bias", *_STATISTICS)

# The modules of xpand's networks, in the order of their state dicts; those inside a block by their last name.
_OURS = (
    *("stem.spatial", "stem.temporal", "stem.norm"),
    *("expand", "expand_norm", "depthwise", "depthwise_norm"),
    *("squeeze_excite.squeeze", "squeeze_excite.excite", "project", "project_norm"),
    *("shortcut", "shortcut_norm"),
    *("head.conv5", "head.conv5_norm", "head.hidden", "head.classifier"),
)
# The names of these modules in each project, in the order of its state dicts.
_PARTS: Mapping[Layout, Mapping[str, str]] = {
    "slowfast": {
        "stem.spatial": "s1.pathway0_stem.conv_xy",
        "stem.temporal": "s1.pathway0_stem.conv",
        "stem.norm": "s1.pathway0_stem.bn",
        "head.conv5": "head.conv_5",
        "head.conv5_norm": "head.conv_5_bn",
        "head.hidden": "head.lin_5",
        "head.classifier": "head.projection",
        "shortcut": "branch1",
        "shortcut_norm": "branch1_bn",
        "expand": "branch2.a",
        "expand_norm": "branch2.a_bn",
        "depthwise": "branch2.b",
        "depthwise_norm": "branch2.b_bn",
        "squeeze_excite.squeeze": "branch2.se.fc1",
        "squeeze_excite.excite": "branch2.se.fc2",
        "project": "branch2.c",
        "project_norm": "branch2.c_bn",
    },
    "pytorchvideo": {
        "stem.spatial": "blocks.0.conv.conv_t",  # PyTorchVideo swaps the two names of the stem
        "stem.temporal": "blocks.0.conv.conv_xy",
        "stem.norm": "blocks.0.norm",
        "head.conv5": "blocks.5.pool.pre_conv",
        "head.conv5_norm": "blocks.5.pool.pre_norm",
        "head.hidden": "blocks.5.pool.post_conv",
        "head.classifier": "blocks.5.proj",
        "shortcut": "branch1_conv",
        "shortcut_norm": "branch1_norm",
        "expand": "branch2.conv_a",
        "expand_norm": "branch2.norm_a",
        "depthwise": "branch2.conv_b",
        "depthwise_norm": "branch2.norm_b.0",
        "squeeze_excite.squeeze": "branch2.norm_b.1.block.0",
        "squeeze_excite.excite": "branch2.norm_b.1.block.2",
        "project": "branch2.conv_c",
        "project_norm": "branch2.norm_c",
    },
    "multigrid": {
        "stem.spatial": "conv1_s",
        "stem.temporal": "conv1_t",
        "stem.norm": "bn1",
        "head.conv5": "conv5",
        "head.conv5_norm": "bn5",
        "head.hidden": "fc1",
        "head.classifier": "fc2",
        "expand": "conv1",
        "expand_norm": "bn1",
        "depthwise": "conv2",
        "depthwise_norm": "bn2",
        "project": "conv3",
        "project_norm": "bn3",
        "squeeze_excite.squeeze": "fc1",
        "squeeze_excite.excite": "fc2",
        "shortcut": "downsample.0",
        "shortcut_norm": "downsample.1",
    },
}
_BLOCKS: Mapping[Layout, str] = {
    "slowfast": "s{stage}.pathway0_res{block}.",
    "pytorchvideo": "blocks.{stage_from_1}.res_blocks.{block}.",
    "multigrid": "layer{stage_from_1}.{block}.",
}
_FIRST: Mapping[Layout, str] = {layout: f"{parts['stem.spatial']}.weight" for layout, parts in _PARTS.items()}
# The name of the first weight in each layout, by which a layout is recognised.
FIRST_NAMES: tuple[str, ...] = tuple(_FIRST.values())


def layout_of(names: Iterable[str]) -> Layout | None:
    """The project whose layout has these names; None: xpand's own layout, or an unknown one."""
    given = set(names)
    return next((layout for layout in LAYOUTS if _FIRST[layout] in given), None)


def to_layout(state: Mapping[str, Tensor], architecture: Architecture, layout: Layout) -> dict[str, Tensor]:
    """A state dict of xpand in another project's layout: with the names and the order of its network."""
    fitted = dict(state)
    for stage, wanted in enumerate(_norms(architecture, layout)):
        _fit_norm(fitted, stage, wanted=wanted)
    names = _in_order(fitted, _names(architecture, _PARTS[layout]))
    renamed = {name_in(layout, name): fitted[name] for name in names}
    return _with_splits(renamed) if layout == "multigrid" else renamed


def from_layout(state: Mapping[str, Tensor], architecture: Architecture, layout: Layout) -> dict[str, Tensor]:
    """Another project's state dict in xpand's layout; tensors of no layer in it keep their names."""
    given = _without_splits(state) if layout == "multigrid" else dict(state)
    names = list(_names(architecture, _OURS))
    ours = {name_in(layout, name): name for name in names}
    renamed = {ours.get(name, name): value for name, value in given.items()}
    for stage, own in enumerate(architecture.stages):
        _fit_norm(renamed, stage, wanted=own.shortcut_norm)
    return {name: renamed[name] for name in _in_order(renamed, names)}


def name_in(layout: Layout, name: str) -> str:
    """Another project's name of a weight that xpand calls `name`; unknown names are returned as they are."""
    module, _, leaf = name.rpartition(".")
    parts = _PARTS[layout]
    if match := re.fullmatch(r"stages\.(\d+)\.blocks\.(\d+)\.(.+)", module):
        stage, block, part = int(match[1]), match[2], match[3]
        prefix = _BLOCKS[layout].format(stage=stage + 2, stage_from_1=stage + 1, block=block)
        module = prefix + parts[part]
    elif module in parts:
        module = parts[module]
    else:
        return name
    if layout == "multigrid" and leaf in _STATISTICS:
        return f"{module}.bn.{leaf}"
    return f"{module}.{leaf}"


def _norms(architecture: Architecture, layout: Layout) -> list[bool]:
    """Whether the project's network has a BatchNorm on the shortcut, for each stage."""
    inputs = [architecture.stem_width, *(stage.width for stage in architecture.stages)]
    return [
        layout != "pytorchvideo" or stage.width != width_in
        for stage, width_in in zip(architecture.stages, inputs, strict=False)
    ]


def _fit_norm(state: dict[str, Tensor], stage: int, *, wanted: bool) -> None:
    """Add the BatchNorm of a stage's shortcut to the state dict, or fold it away; the logits stay the same.

    Args:
        state: under xpand's names; changed in place. If tensors that this needs are missing or have other
            shapes, it stays unchanged.
        stage: number of the stage, from 0.
        wanted: True: an identity BatchNorm is added if there is none; False: the BatchNorm is folded away.
    """
    block = f"stages.{stage}.blocks.0."
    names = {leaf: f"{block}shortcut_norm.{leaf}" for leaf in _NORM}
    shortcut, last = f"{block}shortcut.weight", f"{block}project_norm.bias"
    there = [name in state for name in names.values()]
    if shortcut not in state or last not in state or (any(there) if wanted else not all(there)):
        return
    if wanted:
        weight = state[shortcut]
        width = weight.shape[0]
        state[names["weight"]] = weight.new_ones(width)
        state[names["bias"]] = weight.new_zeros(width)
        state[names["running_mean"]] = weight.new_zeros(width)
        state[names["running_var"]] = weight.new_full((width,), 1 - EPS)
        state[names["num_batches_tracked"]] = torch.zeros((), dtype=torch.int64)
        return
    per_channel = [state[names[leaf]] for leaf in _NORM[:-1]]
    if any(value.shape != state[shortcut].shape[:1] for value in (*per_channel, state[last])):
        return
    norm = {leaf: state.pop(name) for leaf, name in names.items()}
    scale = norm["weight"].double() / (norm["running_var"].double() + EPS).sqrt()
    shift = norm["bias"].double() - norm["running_mean"].double() * scale
    weight, bias = state[shortcut], state[last]
    state[shortcut] = (weight.double() * scale.view(-1, 1, 1, 1, 1)).to(weight.dtype)
    state[last] = (bias.double() + shift).to(bias.dtype)


def _with_splits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with statistics for each split, all equal to the aggregated ones."""
    full: dict[str, Tensor] = {}
    for name, value in state.items():
        full[name] = value
        if name.endswith(f".bn.{_STATISTICS[-1]}"):
            module = name.removesuffix(f".bn.{_STATISTICS[-1]}")
            for leaf in _STATISTICS:
                value = full[f"{module}.bn.{leaf}"]
                full[f"{module}.split_bn.{leaf}"] = value.repeat(SPLITS) if value.ndim else value.clone()
    return full


def _without_splits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with aggregated statistics only.

    Aggregated statistics that still have their initial values (mean 0, variance 1) are computed from those of
    the splits. Statistics of splits whose number of channels does not match are kept, so that the later check
    of the weights reports them.
    """
    kept = dict(state)
    for name in state:
        if not name.endswith(".split_bn.running_mean"):
            continue
        module = name.removesuffix(".split_bn.running_mean")
        own = {leaf: f"{module}.bn.{leaf}" for leaf in _STATISTICS}
        split = {leaf: f"{module}.split_bn.{leaf}" for leaf in _STATISTICS}
        if not all(each in state for each in (*own.values(), *split.values())):
            continue
        mean, var = state[own["running_mean"]], state[own["running_var"]]
        means, variances = state[split["running_mean"]], state[split["running_var"]]
        channels = mean.numel()
        if not channels or means.numel() % channels or variances.shape != means.shape:
            continue
        for each in split.values():
            del kept[each]
        if not mean.any() and bool((var == 1).all()):
            means, variances = means.reshape(-1, channels), variances.reshape(-1, channels)
            kept[own["running_mean"]] = means.mean(0)
            kept[own["running_var"]] = variances.mean(0) + means.var(0, correction=0)
    return kept


def _names(architecture: Architecture, parts: Iterable[str]) -> Iterator[str]:
    """All names that weights of an architecture can have, in order: each module with all kinds of tensors.

    Args:
        architecture: gives the numbers of stages and blocks.
        parts: the modules, in the order of the state dict.
    """
    around, inside = list[str](), list[str]()
    for part in parts:
        (around if part.startswith(("stem.", "head.")) else inside).append(part)
    modules = [part for part in around if part.startswith("stem.")]
    for index, stage in enumerate(architecture.stages):
        blocks = (f"stages.{index}.blocks.{block}." for block in range(stage.depth))
        modules += [block + part for block in blocks for part in inside]
    modules += [part for part in around if part.startswith("head.")]
    return (f"{module}.{leaf}" for module in modules for leaf in _NORM)


def _in_order(names: Iterable[str], order: Iterable[str]) -> list[str]:
    """The names in the order of `order`; names that `order` lacks follow at the end."""
    there = dict.fromkeys(names)
    return list(dict.fromkeys([*(name for name in order if name in there), *there]))
