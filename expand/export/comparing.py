"""Checks that an exported network gives the logits of the original network."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from expand.export.base import NetworkToExport
from expand.system.errors import RunFailed
from expand.training.footprint import PLAIN, Footprint
from expand.training.free_memory import free_memory, ran_out

BATCHES = (1, 3)  # numbers of clips, as exports must take batches of any size
TOLERANCE = 1e-4  # relative to the largest logit, as other kernels sum in another order
_SEED = 0


def network_of(source: NetworkToExport) -> nn.Module:
    """Build the network with its weights, in evaluation mode."""
    assert source.state is not None, "the format needs weights"
    network = source.model.build()
    network.load_state_dict(dict(source.state))
    return network.eval()


def random_clips(source: NetworkToExport, count: int) -> Tensor:
    """Return normally distributed clips, (count, 3, T, S, S), as normalised ones are."""
    model, generator = source.model, torch.Generator().manual_seed(_SEED)
    return model.space.example(model.architecture, count).normal_(generator=generator)


@torch.no_grad()
def check_equal(
    source: NetworkToExport, network: nn.Module, exported: Callable[[Tensor], Tensor], what: str
) -> str:
    """Compare the logits of both networks on random clips, in batches of several sizes.

    Where memory is too short for several clips, one clip is compared.

    Args:
        source: what is exported.
        network: the original network.
        exported: the exported network.
        what: the exported network in words, for messages.

    Returns:
        A sentence on the largest difference and the number of clips.

    Raises:
        RunFailed: the logits differ by more than the tolerance, or not even one clip fits into memory.
    """
    apart: list[float] = []
    most = _fitting(source)
    for count in BATCHES:
        if count > most:
            continue
        try:
            clips = random_clips(source, count)
            own, other = network(clips), exported(clips)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            if count == 1:
                raise RunFailed(
                    f"out of memory in comparing {what} with the network on one clip: free memory, or raise "
                    "its limit; nothing was written."
                ) from None
            most = 1
            continue
        if own.shape != other.shape:
            raise RunFailed(
                f"{what} must give logits {tuple(own.shape)} as the network does, "
                f"but it gives {tuple(other.shape)}: nothing was written."
            )
        apart.append(float((own - other).abs().max() / own.abs().max().clamp_min(1e-6)))
    worst = max(apart)
    if not all(each <= TOLERANCE for each in apart):  # this way round, NaN fails too
        worst = next((each for each in apart if math.isnan(each)), worst)
        raise RunFailed(
            f"{what} must give the network's logits within {TOLERANCE:g} of the largest, "
            f"but they are off by {worst:.1g}: nothing was written."
        )
    compared = "random clips" if most > 1 else "one random clip, as memory was short"
    return f"Compared with the network on {compared}: logits off by at most {worst:.0e} of the largest."


def _fitting(source: NetworkToExport) -> int:
    """Return how many clips fit into memory, up to the largest batch that is compared."""
    model = source.model
    complexity = model.space.complexity(model.architecture, len(model.classes))
    footprint = Footprint.of(complexity, model.sampling, PLAIN)
    return footprint.largest_batch(max(BATCHES), free_memory(torch.get_num_threads()))
