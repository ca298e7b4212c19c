"""The learning rate over a training."""

from __future__ import annotations

import math


def learning_rate_factor(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear warm-up from 0, then half a period of a cosine to 0.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that warms up.

    Source: the cosine is that of Loshchilov and Hutter, ICLR 2017, without restarts, as X3D uses it.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
