"""The weights under xpand's own names, and the model file that they go with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from expand.export.base import Source, Written
from expand.models import Model, write_values
from expand.version import VERSION

SUFFIX = ".safetensors"
WEIGHTS = "needed"


def write(source: Source, path: Path) -> Written:
    """NAME.safetensors, which tells in its metadata what it is of, and NAME.yaml."""
    assert source.state is not None, "the format needs weights"
    model = source.model
    save_weights(path, source.state, model)
    values = write_values(path.with_suffix(".yaml"), model.values)
    loading = f'import expand\n\nmodel = expand.load_model("{values.name}", weights=True)'
    return Written(files=(path, values), loading=loading)


def save_weights(path: Path, state: Mapping[str, Tensor], model: Model) -> None:
    """A safetensors file whose metadata tell what it is of; the same weights give the same bytes."""
    told = {
        "name": model.name,
        "version": VERSION,
        "space": model.values["space"],
        "architecture": model.space.architecture_to_json(model.architecture),
        "classes": model.classes,
    }
    metadata = {"xpand": json.dumps(told)}  # one entry: several are written in any order
    whole = {name: value.detach().cpu() for name, value in state.items()}
    whole = {name: value.clone(memory_format=torch.contiguous_format) for name, value in whole.items()}
    save_file(whole, path, metadata=metadata)  # which takes no tensors that share memory
