"""Measures the latency of a network: the seconds of a forward pass of one clip."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from expand.training.devices import autocast, place_clips

_WARM_UPS = 2
_PASSES, _SECONDS = 10, 0.5  # the most passes that are timed, and the seconds after which timing stops


@torch.no_grad()
def measure_latency(network: nn.Module, clip: Tensor, device: str) -> float:
    """Seconds of the fastest of several forward passes of one clip, in evaluation mode.

    The fastest counts, since other processes may slow the others. Left out: reading the clip.

    Args:
        network: on the device.
        clip: (1, 3, T, S, S), such as the space's `example`.
        device: the device.
    """
    clip = place_clips(clip, device)
    network.eval()
    fastest, spent = float("inf"), 0.0
    with autocast(device):
        for number in range(_WARM_UPS + _PASSES):
            wait_for(device)
            begun = time.perf_counter()
            network(clip)
            wait_for(device)
            seconds = time.perf_counter() - begun
            if number >= _WARM_UPS:
                fastest, spent = min(fastest, seconds), spent + seconds
                if spent > _SECONDS:
                    break
    return fastest


def wait_for(device: str) -> None:
    """Wait until the device has run all queued kernels."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
