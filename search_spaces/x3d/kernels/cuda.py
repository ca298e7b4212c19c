"""The channelwise convolution on CUDA as an autograd function, and the conditions for its use.

Shapes: B clips, C channels, T frames, H×W pixels. Triton is imported at first use, as only CUDA builds of
torch bring it.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from search_spaces.x3d.kernels.switch import plain_chosen
from search_spaces.x3d.kernels.tracing import watched

log = logging.getLogger(__name__)

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_CAPABILITY = (8, 0)  # the oldest devices with bfloat16, and the oldest that Triton supports


def usable(x: Tensor) -> bool:
    """Whether `depthwise` can replace torch's channelwise convolution of x, in training and evaluation."""
    return (
        x.is_cuda
        and not plain_chosen()
        and not watched()
        and type(x) is Tensor
        and x.dtype in _DTYPES
        and x.numel() > 0
        and _why_not(x.get_device()) is None
    )


@functools.cache
def _why_not(device: int) -> str | None:
    """Return why the kernels don't run on a device; None where they do. Logs the reason once."""
    reason = None
    if torch.version.hip is not None:
        reason = "they are written for CUDA, not for ROCm"
    elif importlib.util.find_spec("triton") is None:
        reason = "Triton is not installed: `pip install triton`"
    elif (capability := torch.cuda.get_device_capability(device)) < _CAPABILITY:
        wanted = ".".join(map(str, _CAPABILITY))
        has = ".".join(map(str, capability))
        reason = f"they need compute capability {wanted}, and the device has {has}"
    if reason is not None:
        log.warning("no CUDA kernels, so channelwise convolutions are torch's own: %s", reason)
    return reason


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve each channel of x (B, C, T, H, W) with its own kernel.

    The input is padded so that frames are kept, and height and width are kept or halved. Under autocast the
    result has autocast's precision, as torch's; sums are float32, so the weight's gradient is as precise as
    the weight.

    Args:
        x: the input.
        weight: (C, 1, kt, kh, kw), with odd kt, kh and kw.
        stride: spatial stride: 1, or 2 to halve height and width, rounded up.
    """
    if torch.is_autocast_enabled("cuda"):
        x = x.to(torch.get_autocast_dtype("cuda"))
    x = x.contiguous(memory_format=torch.channels_last_3d)  # before autograd saves it
    out: Tensor = _Depthwise.apply(x, weight, stride)  # type: ignore[no-untyped-call]
    return out


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        from search_spaces.x3d.kernels import triton_depthwise

        ctx.stride = stride
        ctx.save_for_backward(x, weight)
        return triton_depthwise.forward(x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        from search_spaces.x3d.kernels import triton_depthwise

        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            _, _, frames, height, width = x.shape
            of_x = triton_depthwise.input_gradient(grad, weight, (frames, height, width), ctx.stride)
        if ctx.needs_input_grad[1]:
            _, _, kt, kh, kw = weight.shape
            sums = triton_depthwise.weight_gradient(x, grad, (kt, kh, kw), ctx.stride)
            of_weight = sums.to(weight.dtype)
        return of_x, of_weight, None
