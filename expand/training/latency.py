"""How long one clip takes through a network."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from expand.training.devices import autocast, place_clips

_WARM_UPS = 2
_PASSES, _SECONDS = 10, 0.5  # passes that are timed, and when to stop before that


@torch.no_grad()
def measure_latency(network: nn.Module, clip: Tensor, device: str) -> float:
    """Seconds of a forward pass of one clip, in evaluation mode; the fastest, for others may slow the rest.

    Reading the clip is left out.

    Args:
        network: on the device.
        clip: (1, 3, T, S, S), as the space's `example` has it.
        device: where it is timed.
    """
    clip = place_clips(clip, device)
    network.eval()
    fastest, spent = float("inf"), 0.0
    with autocast(device):
        for number in range(_WARM_UPS + _PASSES):
            _wait_for(device)
            begun = time.perf_counter()
            network(clip)
            _wait_for(device)
            seconds = time.perf_counter() - begun
            if number >= _WARM_UPS:
                fastest, spent = min(fastest, seconds), spent + seconds
                if spent > _SECONDS:
                    break
    return fastest


def _wait_for(device: str) -> None:
    """Until the device has done all that it was sent."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
