"""BatchNorm over parts of a batch, for multigrid training, where batches grow to many times their size.

Shapes: B clips, n splits, C channels; inputs are (B, C, T, H, W).

Source: Wu et al., "A Multigrid Method for Efficiently Training Video Models", CVPR 2020 (sub-BatchNorm).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class SplitBatchNorm(nn.BatchNorm3d):
    """BatchNorm with separate statistics for each of n equal parts of a training batch.

    Weight and bias are shared. In evaluation it is a plain BatchNorm, with the running statistics that
    `aggregate` computes from those of the parts.

    Args:
        width: channels.
        splits: n.
    """

    split_mean: Tensor  # (n, C)
    split_var: Tensor  # (n, C)

    def __init__(self, width: int, splits: int, *, eps: float, momentum: float | None) -> None:
        if splits < 1:
            raise ValueError(f"splits must be at least 1, got {splits}.")
        super().__init__(width, eps=eps, momentum=momentum)
        self.splits = splits
        self.register_buffer("split_mean", torch.zeros(splits, width))
        self.register_buffer("split_var", torch.ones(splits, width))

    @classmethod
    def of(cls, norm: nn.BatchNorm3d, splits: int) -> Self:
        """Make a SplitBatchNorm that shares `norm`'s parameters and starts every part from its statistics."""
        split = cls(norm.num_features, splits, eps=norm.eps, momentum=norm.momentum)
        _take_over(norm, split)
        assert split.running_mean is not None
        assert split.running_var is not None
        split.split_mean = split.running_mean.expand(splits, -1).clone()
        split.split_var = split.running_var.expand(splits, -1).clone()
        return split

    @torch.no_grad()
    def aggregate(self) -> None:
        """Set the running statistics to those of all parts together.

        As the parts have equally many clips, that is the mean of the means, and the mean of the variances
        plus the variance of the means.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean.copy_(self.split_mean.mean(0))
        self.running_var.copy_(self.split_var.mean(0) + self.split_mean.var(0, correction=0))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W)
        if not self.training:
            return super().forward(x)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked or 1)

        def normalised(part: Tensor, index: int) -> Tensor:
            mean, var = self.split_mean[index], self.split_var[index]
            return functional.batch_norm(part, mean, var, self.weight, self.bias, True, momentum, self.eps)

        return in_splits(x, [self], normalised)


def in_splits(
    x: Tensor, norms: Sequence[nn.BatchNorm3d], function: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Apply a function to each part of a training batch, and concatenate the results.

    Args:
        x: the batch, (B, C, T, H, W).
        norms: the BatchNorms inside the function, which all have the same number of splits; where they have
            one, or are in evaluation mode, the function gets the whole batch.
        function: takes a part and its index.

    Raises:
        ValueError: the batch can't be split into equal parts.
    """
    splits = splits_of(norms[0])
    if splits == 1 or not norms[0].training:
        return function(x, 0)
    if x.shape[0] % splits:
        raise ValueError(f"a batch must be a multiple of the {splits} splits, got {x.shape[0]} clips.")
    return torch.cat([function(part, index) for index, part in enumerate(x.chunk(splits))])


def splits_of(norm: nn.Module) -> int:
    return norm.splits if isinstance(norm, SplitBatchNorm) else 1


def statistics(norm: nn.BatchNorm3d | None, index: int) -> tuple[Tensor | None, Tensor | None]:
    """Return the running mean and variance that a part of the batch updates."""
    if norm is None:
        return None, None
    if isinstance(norm, SplitBatchNorm) and norm.training:
        return norm.split_mean[index], norm.split_var[index]
    return norm.running_mean, norm.running_var


def set_splits(network: nn.Module, splits: int) -> None:
    """Replace every BatchNorm of a network by one with `splits` splits; by a plain BatchNorm for 1.

    The parameters stay the same objects, so an optimizer keeps working. The statistics of previous splits are
    aggregated, and each new split starts from the result.
    """
    aggregate(network)
    for name, norm in list(network.named_modules()):
        if isinstance(norm, nn.BatchNorm3d) and splits_of(norm) != splits:
            network.set_submodule(name, SplitBatchNorm.of(norm, splits) if splits > 1 else _plain(norm))


def aggregate(network: nn.Module) -> None:
    """Update the running statistics of all SplitBatchNorms, which an evaluation needs."""
    for norm in network.modules():
        if isinstance(norm, SplitBatchNorm):
            norm.aggregate()


def _plain(norm: nn.BatchNorm3d) -> nn.BatchNorm3d:
    plain = nn.BatchNorm3d(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    _take_over(norm, plain)
    return plain


def _take_over(norm: nn.BatchNorm3d, other: nn.BatchNorm3d) -> None:
    other.weight, other.bias = norm.weight, norm.bias
    other.running_mean, other.running_var = norm.running_mean, norm.running_var
    other.num_batches_tracked = norm.num_batches_tracked
    other.train(norm.training)
