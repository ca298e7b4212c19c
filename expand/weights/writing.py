"""Weights as safetensors files: no code in them, and the same weights give the same bytes."""

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
    """Write a state dict, whole or not at all.

    Args:
        path: of the file.
        state: tensors by name.
        model: what they are of, which the file's metadata then tell; None: nothing is told.
    """
    metadata = None
    if model is not None:
        told = {
            "name": model.name,
            "version": VERSION,
            "space": model.values["space"],
            "architecture": model.space.architecture_to_json(model.architecture),
            "classes": model.classes,
        }
        metadata = {"xpand": json.dumps(told)}  # one entry: several are written in any order
    # Copies, since a file takes no tensors that share memory.
    whole = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }
    with replacing(path) as partial:
        partial.write_bytes(
            save(whole, metadata)
        )  # its own writer says nothing that helps where a disk is full
