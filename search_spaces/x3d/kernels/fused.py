"""The compiled CPU kernels as autograd functions, and the conditions for their use.

Shapes: B clips, C channels, T frames, H×W pixels. Channels are innermost in memory (channels_last_3d); inputs
in other layouts are converted.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from search_spaces.x3d.kernels.build import load_kernels
from search_spaces.x3d.kernels.switch import plain_chosen
from search_spaces.x3d.kernels.tracing import watched
from search_spaces.x3d.split_norm import SplitBatchNorm, splits_of

Maybe = Tensor | None


def usable(x: Tensor, module: nn.Module, norms: Sequence[nn.BatchNorm3d], widths: Sequence[int]) -> bool:
    """Whether a kernel can replace `module` on x.

    It cannot where the plain modules must be seen (a trace, a FLOP counter, a hook, another kind of norm), or
    where the kernels have no implementation (other devices and precisions, few channels, gradients in
    evaluation).

    Args:
        x: the module's input.
        module: the plain module.
        norms: the module's BatchNorms.
        widths: the numbers of channels of the module's layers.
    """
    return (
        not plain_chosen()
        and x.is_cpu
        and type(x) is Tensor
        and not watched()
        and not torch.is_autocast_enabled("cpu")
        and not (torch.is_grad_enabled() and not module.training)
        and all(_is_usual(norm, module.training, norms[0], x.dtype) for norm in norms)
        and not any(_hooked(part) for part in module.modules())
        and x.numel() > 0
        and load_kernels() is None
        and min(widths) >= _lanes(x.dtype)
    )


def _is_usual(norm: nn.BatchNorm3d, training: bool, first: nn.BatchNorm3d, dtype: torch.dtype) -> bool:
    """Whether the kernels can compute a norm, which must have the settings of the module's first norm."""
    return (
        type(norm) in (nn.BatchNorm3d, SplitBatchNorm)
        and splits_of(norm) == splits_of(first)
        and norm.training == training
        and norm.weight is not None
        and norm.weight.dtype == dtype
        and norm.running_mean is not None
        and norm.momentum is not None
        and (norm.momentum, norm.eps) == (first.momentum, first.eps)
    )


def _hooked(part: nn.Module) -> bool:
    """Whether a module has hooks, which the kernels would not call."""
    return bool(
        part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks
    )


@functools.cache
def _lanes(dtype: torch.dtype) -> float:
    """Return the fewest channels that the kernels support; infinity for other precisions."""
    if dtype not in (torch.float32, torch.float64):
        return float("inf")
    return int(torch.ops.xpand.lanes(torch.empty(0, dtype=dtype)))


def norm_parameters(norm: nn.BatchNorm3d | None) -> tuple[Maybe, Maybe]:
    """Return a norm's weight and bias, or None for both without a norm."""
    return (norm.weight, norm.bias) if norm is not None else (None, None)


def count_batch(norms: Sequence[nn.BatchNorm3d]) -> tuple[bool, float, float]:
    """Return (training, momentum, eps), equal in all norms; in training, add 1 to their counts of batches."""
    first = norms[0]
    if first.training:
        counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        torch._foreach_add_(counts, 1)
    return first.training, float(first.momentum or 0.0), first.eps


def block(
    x: Tensor,
    parameters: Sequence[Maybe],
    buffers: Sequence[Maybe],
    stride: int,
    norms: tuple[bool, float, float],
) -> Tensor:
    """Run a whole block, (B, C, T, H, W) to (B, C', T, H', W').

    Args:
        x: the input.
        parameters: the block's parameters in the order of block.h; None for parts that the block lacks.
        buffers: running mean and variance of each norm, in that order.
        stride: spatial stride of the channelwise convolution.
        norms: training, momentum, eps, as from `count_batch`.
    """
    out: Tensor = _Block.apply(x, stride, list(buffers), norms, *parameters)  # type: ignore[no-untyped-call]
    return out


def stem(
    x: Tensor, parameters: Sequence[Tensor], buffers: Sequence[Maybe], norms: tuple[bool, float, float]
) -> Tensor:
    """Run the stem, (B, 3, T, H, W) to (B, C, T, H/2, W/2). x gets no gradient.

    Args:
        x: clips.
        parameters: the weights of the spatial and the temporal convolution, weight and bias of the norm.
        buffers: running mean and variance.
        norms: training, momentum, eps, as from `count_batch`.
    """
    out: Tensor = _Part.apply(x, "stem", buffers, norms, *parameters)  # type: ignore[no-untyped-call]
    return out


def pooled(
    x: Tensor,
    parameters: Sequence[Tensor],
    buffers: Sequence[Maybe],
    per_frame: bool,
    norms: tuple[bool, float, float],
) -> Tensor:
    """Run the head's first convolution, norm, ReLU and mean: (B, C), or (B·T, C) per frame.

    Args:
        x: the input, (B, K, T, H, W).
        parameters: the weight of the convolution, weight and bias of the norm.
        buffers: running mean and variance.
        per_frame: whether to take the mean over space only.
        norms: training, momentum, eps, as from `count_batch`.
    """
    options = (per_frame, *norms)
    out: Tensor = _Part.apply(x, "head", buffers, options, *parameters)  # type: ignore[no-untyped-call]
    return out


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        stride: int,
        buffers: list[Maybe],
        norms: tuple[bool, float, float],
        *parameters: Maybe,
    ) -> Tensor:
        results = torch.ops.xpand.block_forward(x, list(parameters), buffers, stride, *norms)
        ctx.stride, ctx.parameters = stride, len(parameters)
        ctx.save_for_backward(x, *parameters, *results)
        out: Tensor = results[0]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Maybe, ...]:
        x, *rest = ctx.saved_tensors
        parameters, results = rest[: ctx.parameters], rest[ctx.parameters :]
        of_x, *of_parameters = torch.ops.xpand.block_backward(grad, x, parameters, results, ctx.stride)
        return (of_x, None, None, None, *of_parameters)


class _Part(torch.autograd.Function):
    """The stem or the head. Only the head's kernel returns the gradient of x, before the others."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        name: str,
        buffers: Sequence[Maybe],
        options: tuple[Any, ...],
        *parameters: Tensor,
    ) -> Tensor:
        kernel = getattr(torch.ops.xpand, f"{name}_forward")
        results = kernel(x, *parameters, *buffers, *options)
        ctx.name, ctx.parameters = name, len(parameters)
        ctx.save_for_backward(x, *parameters, *results)
        out: Tensor = results[0]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Maybe, ...]:
        x, *rest = ctx.saved_tensors
        parameters, results = rest[: ctx.parameters], rest[ctx.parameters :]
        kernel = getattr(torch.ops.xpand, f"{ctx.name}_backward")
        gradients = kernel(grad, x, *parameters, results)
        of_x = gradients[: len(gradients) - ctx.parameters] or [None]
        return (*of_x, None, None, None, *gradients[-ctx.parameters :])
