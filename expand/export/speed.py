"""Says on the card of an export how long the exported file takes for a clip."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from expand.export.base import NetworkToExport
from expand.export.comparing import random_clips
from expand.profiling.timing import timed
from expand.system.machine import describe_machine
from expand.system.units import show_milliseconds


def speed_of(source: NetworkToExport, run: Callable[[Tensor], object], runtime: str) -> str:
    """Time one clip on one thread, and return a sentence about it.

    Args:
        source: the exported network.
        run: runs the exported file on clips; it must take one thread, or those of torch.
        runtime: what it is run by, with its version.
    """
    clip = random_clips(source, 1)
    with torch.no_grad():
        (nanoseconds,) = timed([lambda: run(clip)], threads=1)
    return (
        f"One clip takes {show_milliseconds(nanoseconds / 1e9)} with {runtime} on one thread of "
        f"{describe_machine()['processor']}, where it was exported."
    )
