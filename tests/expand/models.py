"""Small model files for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from expand.config.search import SpaceConfig
from expand.weights.models import network_values, read_model, write_values
from search_spaces.x3d import X3DSpace

SETTINGS: dict[str, Any] = {"size": 32, "frames": 2, "stride": 12}


def write_tiny(path: Path, classes: Sequence[str], *, weights: bool = False, **more: object) -> Path:
    """The start of a small X3D space as a model file, with random weights if asked."""
    space = X3DSpace(**SETTINGS)
    architecture, sampling = space.architecture(space.start), space.sampling(space.start)
    config = SpaceConfig(name="x3d", settings=SETTINGS)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_values(path, network_values(path.stem, config, architecture, sampling, classes) | more)
    if weights:
        torch.manual_seed(7)
        save_file(read_model(path).build().state_dict(), path.with_suffix(".safetensors"))
    return path
