"""A training loss that also counts the clips that the network gets right.

Shapes: B clips in a batch, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CountedLoss(nn.Module):
    """A loss that counts the clips whose largest logit is that of their class; only for clips with one label.

        loss = CountedLoss(nn.CrossEntropyLoss())
        loss(logits, targets)      # the inner loss
        loss.share()               # of the clips since the last `clear`

    The counts are buffers, changed in place, so that CUDA graphs change them too, and a step that is done
    again can take back what it counted.

    Args:
        inner: maps (B, C) logits and targets to the mean loss.
    """

    right: Tensor
    seen: Tensor

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._inner = inner
        self.register_buffer("right", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        if targets.ndim == 1:  # one label each; flags of several are (B, C) or (B, T, C)
            self.right += (logits.detach().argmax(dim=1) == targets).sum()
            self.seen += len(targets)
        loss: Tensor = self._inner(logits, targets)
        return loss

    def share(self) -> float | None:
        """The share of the counted clips that were right; None: none were counted."""
        right, seen = self.counts()
        return right / seen if seen else None

    def counts(self) -> tuple[int, int]:
        """The clips that were right, and those that were counted."""
        return int(self.right), int(self.seen)

    def restore(self, counts: tuple[int, int]) -> None:
        """Go on from counts that `counts` gave."""
        self.right.fill_(counts[0])
        self.seen.fill_(counts[1])

    def clear(self) -> None:
        """Count from 0 on."""
        self.restore((0, 0))
