"""The learning rate over a training."""

from __future__ import annotations

import math


def released_factor(progress: float, warmup: float, start: float) -> float:
    """The share of the peak learning rate: half a period of a cosine over the whole training.

    In the warm-up it rises linearly from `start` to the value that the cosine has at the warm-up's end.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that warms up.
        start: share of the peak learning rate at which it starts.

    Source: SlowFast's slowfast/utils/lr_policy.py at 287ec007, which X3D was released with.
    """
    if progress < warmup:
        return start + (_cosine(warmup) - start) * progress / warmup
    return _cosine(progress)


def learning_rate_factor(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear warm-up from 0, then half a period of a cosine to 0.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that warms up.

    Source: the cosine is that of Loshchilov and Hutter, ICLR 2017, without restarts, as X3D uses it.
    """
    if progress < warmup:
        return progress / warmup
    return _cosine((progress - warmup) / (1 - warmup))


def _cosine(progress: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))
