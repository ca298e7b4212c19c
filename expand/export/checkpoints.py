"""Writes weights as checkpoints of PyTorchVideo and SlowFast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search_spaces.x3d.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINTS = {"slowfast": ".pyth", "pytorchvideo": ".pth"}  # suffixes by project


def save_project_weights(
    path: Path,
    state: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    layout: Literal["slowfast", "pytorchvideo"],
    prefix: str = "",
) -> Path:
    """Write `{"model_state": …}` under the project's names of the weights, each preceded by `prefix`."""
    import torch

    from expand.weights.layouts import to_layout

    renamed = to_layout(state, architecture, layout=layout)
    torch.save({"model_state": {prefix + name: tensor for name, tensor in renamed.items()}}, path)
    return path
