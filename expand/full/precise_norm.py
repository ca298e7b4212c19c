"""Measures BatchNorm's statistics anew before an evaluation (precise BatchNorm).

During a training, the running statistics lag behind the weights.

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

# fvcore's update_bn_stats is not used: it takes the variance over all batches together, where here it is the
# mean of the batches' variances, and it does not support several processes.
Norm = nn.modules.batchnorm._BatchNorm


def for_evaluation(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode, with the statistics of BatchNorm's splits aggregated."""
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
    """Set every BatchNorm's running mean and variance to their means over some batches, in place.

    Args:
        network: on the device; set to evaluation mode.
        batches: (B, 3, T, S, S) clips, different ones in each process.
        most: the most batches that are used.
        device: the device.
        precision: the precision of products and convolutions.
        processes: the processes, over which the statistics are averaged.
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
