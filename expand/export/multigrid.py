"""Exports a checkpoint for X3D-Multigrid's network.

Source of the keys and of the network's arguments: https://github.com/kkahatapitiya/X3D-Multigrid at d63d8fe6,
its training scripts and x3d.py.
"""

from __future__ import annotations

from pathlib import Path

import torch

from expand.export.base import RUN_TORCH, FormatFiles, NetworkToExport
from expand.export.text import python
from expand.system.errors import UserError
from expand.weights.layouts import SPLITS, to_layout
from search_spaces.x3d.architecture import Architecture, squeeze_width

SUFFIX = ".pt"
WEIGHTS = "needed"

_BY_CLIP, _BY_FRAME = "[..., 0]", ".transpose(0, 2, 1)"  # of (batch, classes, 1 or frames)
_STAGES = 4
_HIDDEN = 2048


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the weights as `model_state_dict`.

    Raises:
        UserError: the network is not of the X3D space, or X3D-Multigrid cannot build it.
    """
    assert source.state is not None, "the format needs weights"
    model = source.model
    architecture = model.architecture
    if not isinstance(architecture, Architecture):
        raise UserError(
            f"x3d-multigrid must be given a network of the x3d space, but {model.name} is of another: "
            "take safetensors, onnx or torch-export."
        )
    if differing := _differing(architecture):
        raise UserError(
            f"X3D-Multigrid's network must hold {model.name} exactly, but {differing}: take another format."
        )
    state = to_layout(source.state, architecture, "multigrid")
    torch.save({"model_state_dict": state}, path)
    remarks = [f"Each of the {SPLITS} splits of a BatchNorm starts from the statistics of all."]
    if model.head == "clip":
        remarks.append("X3D-Multigrid's network gives logits (batch, classes, 1).")
    else:
        remarks.append("X3D-Multigrid's network gives logits (batch, classes, frames).")
    return FormatFiles(
        files=(path,),
        loading=_loading(source, path),
        running=RUN_TORCH + (_BY_FRAME if model.head == "frame" else _BY_CLIP),
        remarks=tuple(remarks),
    )


def _differing(network: Architecture) -> str | None:
    """Return the first property of a network that X3D-Multigrid cannot build; None where it can build all."""
    stages = network.stages
    if len(stages) != _STAGES:
        return f"it has {_STAGES} stages, not {len(stages)}"
    if network.head_width != _HIDDEN:
        return f"its hidden layer has {_HIDDEN} channels, not {network.head_width}"
    if network.stem_width != stages[0].width:
        return f"its stem is as wide as res2, {stages[0].width} channels, not {network.stem_width}"
    if network.conv5_width != stages[-1].inner_width:
        return f"its conv5 is as wide as inside of res5, {stages[-1].inner_width}, not {network.conv5_width}"
    if len({stage.shortcut for stage in stages}) > 1:
        return "its shortcuts are all of one type, not of two"
    if stages[0].shortcut == "A" and network.frames > 1:
        return "its shortcuts of type A leave out every second frame"
    for number, stage in enumerate(stages, start=2):
        squeezed = squeeze_width(stage.inner_width)
        if stage.squeeze_width != squeezed:
            return f"it squeezes res{number} to {squeezed} channels, not {stage.squeeze_width}"
    return None


def _loading(source: NetworkToExport, path: Path) -> str:
    stages = source.model.architecture.stages
    depths = [stage.depth for stage in stages]
    widths = [(stage.inner_width, stage.width) for stage in stages]
    options = f"n_classes={len(source.model.classes)}, base_bn_splits={SPLITS}"
    options += ', shortcut_type="A"' if stages[0].shortcut == "A" else ""
    options += ', task="loc"' if source.model.head == "frame" else ""
    return (
        "import torch, x3d\n"
        f"network = x3d.ResNet(x3d.Bottleneck, {depths}, {widths}, {options})\n"
        f'network.load_state_dict(torch.load({python(path.name)}, weights_only=True)["model_state_dict"])'
    )
