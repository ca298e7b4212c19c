"""Weights beside a config, as PyTorchVideo's and SlowFast's checkpoints have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search_spaces.x3d.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINTS = {"slowfast": ".pyth", "pytorchvideo": ".pth"}  # suffix, by the project that reads them


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    layout: Literal["slowfast", "pytorchvideo"],
    prefix: str = "",
) -> Path:
    """Write `{"model_state": …}` under the target's names, each after `prefix`."""
    import torch

    from expand.weights.layouts import to_layout

    renamed = to_layout(state, architecture, layout=layout)
    torch.save({"model_state": {prefix + name: tensor for name, tensor in renamed.items()}}, path)
    return path
