"""A checkpoint for X3D-Multigrid's network.

Source of the keys: https://github.com/kkahatapitiya/X3D-Multigrid at d63d8fe6, its training scripts.
"""

from __future__ import annotations

from pathlib import Path

import torch

from expand.errors import UserError
from expand.export.base import Source, Written
from expand.export.layouts import SPLITS, to_layout
from search_spaces.x3d.architecture import Architecture

SUFFIX = ".pt"
WEIGHTS = "needed"


def write(source: Source, path: Path) -> Written:
    """The weights as `model_state_dict`.

    Raises:
        UserError: the network is none of the X3D space.
    """
    assert source.state is not None, "the format needs weights"
    architecture = source.model.architecture
    if not isinstance(architecture, Architecture):
        raise UserError(
            f"x3d-multigrid must be given a network of the x3d space, but {source.model.name} is of another: "
            "take safetensors, onnx or torch-export."
        )
    state = to_layout(source.state, architecture, "multigrid")
    torch.save({"model_state_dict": state}, path)
    loading = (
        f'import torch\ncheckpoint = torch.load("{path.name}", weights_only=True)\n'
        'network.load_state_dict(checkpoint["model_state_dict"])'
    )
    remark = f"Each of the {SPLITS} splits of a BatchNorm starts from the statistics of all."
    return Written(files=(path,), loading=loading, remarks=(remark,))
