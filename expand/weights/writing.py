"""Writes weights as safetensors files, which hold no code; equal weights give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from expand.system.files import replacing
from expand.system.version import VERSION
from expand.weights.models import Model


def save_weights(path: Path, state: Mapping[str, Tensor], model: Model | None = None) -> None:
    """Write a state dict in one step, so that the file is never partial.

    Args:
        path: the file.
        state: tensors by name.
        model: the network, which is described in the file's metadata; None: no metadata.
    """
    metadata = None
    if model is not None:
        described = {
            "name": model.name,
            "version": VERSION,
            "space": model.values["space"],
            "architecture": model.space.architecture_to_json(model.architecture),
            "classes": model.classes,
        }
        # A single entry, since the order of several is not defined.
        metadata = {"xpand": json.dumps(described)}
    # Copies, since safetensors refuses tensors that share memory.
    whole = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }
    with replacing(path) as partial:
        # Not by safetensors' own writer, whose error on a full disk does not say so.
        partial.write_bytes(save(whole, metadata))
