"""BatchNorm's statistics, measured anew before an evaluation.

While a network trains, its running statistics lag behind its weights.

Source: Wu and Johnson, "Rethinking Batch in BatchNorm", arXiv 2105.07576 (PreciseBN).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn

from expand.training.devices import Precision, autocast, place_clips
from expand.training.processes import ALONE, Processes
from search_spaces.x3d.split_norm import set_splits

# Not by fvcore's update_bn_stats: its variance is of all batches as one, which would change
# every trained network, and it knows nothing of several processes.
Norm = nn.modules.batchnorm._BatchNorm


def for_evaluation(network: nn.Module) -> nn.Module:
    """A copy of a network, with its splits' statistics aggregated; the original stays as it is."""
    twin = copy.deepcopy(network)
    set_splits(twin, 1)
    return twin.eval()


@torch.no_grad()
def measure_statistics(
    network: nn.Module,
    batches: Iterable[Tensor],
    *,
    most: int,
    device: str,
    precision: Precision = "auto",
    processes: Processes = ALONE,
) -> None:
    """Set every BatchNorm's running mean and variance to the mean over these batches, in place.

    Args:
        network: is left in evaluation mode.
        batches: (B, 3, T, S, S) clips; each process has its own.
        most: batches that are looked at.
        device: where the network is.
        precision: of the forward passes.
        processes: whose statistics are averaged.
    """
    norms = [
        module for module in network.modules() if isinstance(module, Norm) and module.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    network.train()
    for number, clips in enumerate(islice(batches, most)):
        for norm in norms:
            norm.momentum = 1 / (number + 1)  # so that the running value is the mean so far
        with autocast(device, precision):
            network(place_clips(clips, device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        for value in (norm.running_mean, norm.running_var):
            if value is not None:
                processes.average(value)
    network.eval()
