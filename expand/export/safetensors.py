"""The weights under xpand's own names, and the model file that they go with."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from expand.export.base import Source, Written
from expand.models import write_values
from expand.version import VERSION

SUFFIX = ".safetensors"
WEIGHTS = "needed"


def write(source: Source, path: Path) -> Written:
    """NAME.safetensors, which tells in its metadata what it is of, and NAME.yaml."""
    assert source.state is not None, "the format needs weights"
    model = source.model
    metadata = {
        "name": model.name,
        "xpand": VERSION,
        "architecture": json.dumps(model.space.architecture_to_json(model.architecture)),
        "classes": json.dumps(model.classes),
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in source.state.items()}
    save_file(weights, path, metadata=metadata)
    values = write_values(path.with_suffix(".yaml"), model.values)
    loading = f'import expand\n\nmodel = expand.load_model("{values.name}", weights=True)'
    return Written(files=(path, values), loading=loading)
