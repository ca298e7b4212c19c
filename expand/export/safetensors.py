"""Exports the weights under xpand's own names, with their model file."""

from __future__ import annotations

from pathlib import Path

from expand.export.base import FormatFiles, NetworkToExport
from expand.export.text import python
from expand.weights.models import write_values
from expand.weights.writing import save_weights

SUFFIX = ".safetensors"
WEIGHTS = "needed"


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write NAME.safetensors, whose metadata describe the network, and NAME.yaml."""
    assert source.state is not None, "the format needs weights"
    model = source.model
    save_weights(path, source.state, model)
    values = write_values(path.with_suffix(".yaml"), model.values)
    loading = (
        f'import expand\n\nprediction = expand.predict({python(values.name)}, "video.mp4", views=1)\n'
        "for label, probability in prediction.top(5):\n"
        '    print(label, f"{probability:.1%}")'
    )
    return FormatFiles(files=(path, values), loading=loading)
