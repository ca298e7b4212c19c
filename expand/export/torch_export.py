"""A graph that torch.export.load reads without xpand."""

from __future__ import annotations

from pathlib import Path

import torch

from expand.export.base import Source, Written
from expand.export.comparing import check_equal, network_of, random_clips

SUFFIX = ".pt2"
WEIGHTS = "needed"


def write(source: Source, path: Path) -> Written:
    """The network in evaluation mode, for batches of any size; read again and compared before it is kept."""
    network = network_of(source)
    clips = random_clips(source, 2)
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (clips,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    loaded = torch.export.load(path).module()
    said = check_equal(source, network, loaded, "the exported graph")
    loading = (
        f'import torch\nnetwork = torch.export.load("{path.name}").module()\n'
        f"logits = network(torch.rand{(2, *clips.shape[1:])})"
    )
    return Written(files=(path,), loading=loading, remarks=(said,))
