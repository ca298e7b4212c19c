"""Exports a graph that torch.export.load reads without xpand."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from expand.export.base import FormatFiles, NetworkToExport
from expand.export.comparing import check_equal, network_of, random_clips
from expand.export.speed import speed_of
from expand.export.text import python
from expand.system.errors import RunFailed, first_line

SUFFIX = ".pt2"
WEIGHTS = "needed"


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the network in evaluation mode, for batches of any size; it is loaded again and compared.

    Raises:
        RunFailed: the network can't be traced, or the graph gives other logits.
    """
    network = network_of(source)
    program = program_of(source, network)
    torch.export.save(program, path)
    loaded = torch.export.load(path).module()
    compared = check_equal(source, network, loaded, "the exported graph")
    loading = f"import torch\n\nnetwork = torch.export.load({python(path.name)}).module()"
    running = "outputs = network(torch.from_numpy(clips)).detach().numpy()"
    speed = speed_of(source, loaded, f"torch {torch.__version__}")
    return FormatFiles(files=(path,), loading=loading, running=running, remarks=(compared, speed))


def program_of(source: NetworkToExport, network: nn.Module) -> ExportedProgram:
    """Trace a network to a graph for batches of any size, without xpand's kernels.

    Raises:
        RunFailed: the network can't be traced.
    """
    try:
        batch = torch.export.Dim("batch")
        return torch.export.export(network, (random_clips(source, 2),), dynamic_shapes=({0: batch},))
    except Exception as error:  # networks of other spaces may raise anything
        raise RunFailed(
            f"{source.model.name} must be traceable by torch.export for batches of any size, "
            f"but it is not: {first_line(error)}"
        ) from error
