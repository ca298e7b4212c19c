"""Channelwise 3D convolution and its gradients by Triton kernels, for CUDA: what they are called with.

Shapes: B clips, C channels, T frames, H×W pixels; a kernel is kt×kh×kw, odd sizes, padded to keep the frames
and to keep or halve height and width. Channels are innermost in memory (channels_last_3d).

Nothing is tuned by timing at run time: the order of the sums would depend on what was faster that day, and a
training is a function of its seed. `tile_of` and `share_out` depend on shapes alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.x3d.kernels.triton_kernels import map_frames, sum_products

Size = tuple[int, int, int]

_PROGRAMS = 512  # to share the work out to: some four for each of the 132 multiprocessors of an H100
_VECTOR = 8  # channels in the widest load: 16 bytes of bfloat16
# Pixels in a tile, and how many numbers of it a thread has. For each it holds kt sums in a convolution, and
# kt·kh·kw in a weight gradient. That fits an H100's registers, and leaves room for 8 to 16 warps.
_MAP_PIXELS, _MAP_EACH = 16, 4
_SUM_PIXELS, _SUM_EACH = 8, 2
_MOST_WARPS = 8


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The convolution of x (B, C, T, H, W) by weight (C, 1, kt, kh, kw), in x's precision.

    Args:
        x: its input; other layouts are brought to channels_last_3d.
        weight: rounded to x's precision, as under autocast.
        stride: 1, or 2 to halve height and width, rounded up.
    """
    height, width = (-(-side // stride) for side in x.shape[3:])
    return _convolve(x, weight.to(x.dtype), (x.shape[2], height, width), down=stride, up=1)


def input_gradient(grad: Tensor, weight: Tensor, size: Size, stride: int) -> Tensor:
    """The gradient of x, given that of the output.

    It is the convolution by the mirrored kernel of grad with its pixels moved `stride` apart.

    Args:
        grad: (B, C, T, H', W').
        weight: as in `forward`.
        size: (T, H, W) of x.
        stride: as in `forward`.
    """
    return _convolve(grad, weight.to(grad.dtype).flip(2, 3, 4), size, down=1, up=stride)


def weight_gradient(x: Tensor, grad: Tensor, kernel: Size, stride: int) -> Tensor:
    """The gradient of the weight, float32 (C, 1, kt, kh, kw), given that of the output (B, C, T, H', W').

    Every program writes the sums of its share to a place of its own; those are then summed in one order.
    """
    x, grad = _laid_out(x), _laid_out(grad)
    clips, channels, frames, height, width = x.shape
    out_height, out_width = grad.shape[3:]
    reach = _reach(kernel[0], frames)
    live = 2 * reach + 1
    tile = tile_of(channels, out_height, out_width, pixels=_SUM_PIXELS, each=_SUM_EACH)
    groups, down, across = tile.counts(channels, out_height, out_width)
    items = clips * down * across
    share = share_out(items, groups)
    chunks = -(-items // share)
    parts = torch.empty((chunks, live, kernel[1] * kernel[2], channels), dtype=torch.float32, device=x.device)
    unit = math.gcd(channels, _VECTOR)
    sum_products[(chunks, groups)](
        x,
        grad,
        parts,
        channels // unit,
        frames,
        height,
        width,
        out_height,
        out_width,
        items,
        share,
        UNIT=unit,
        STRIDE=stride,
        KT=live,
        KH=kernel[1],
        KW=kernel[2],
        TILE_H=tile.height,
        TILE_W=tile.width,
        TILE_C=tile.channels,
        num_warps=tile.warps,
    )
    found = torch.zeros((channels, 1, *kernel), dtype=torch.float32, device=x.device)
    first = kernel[0] // 2 - reach
    found[:, 0, first : first + live] = parts.sum(0).permute(2, 0, 1).view(channels, live, *kernel[1:])
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What a program does at a time, each a power of two: pixels of one frame, channels, and warps for it."""

    height: int
    width: int
    channels: int
    warps: int

    def counts(self, channels: int, height: int, width: int) -> Size:
        """How many of them there are along channels, height and width."""
        return -(-channels // self.channels), -(-height // self.height), -(-width // self.width)


def tile_of(channels: int, height: int, width: int, *, pixels: int, each: int) -> Tile:
    """A tile for images of this size: about square, so that its rim is short, and of 64 channels at most.

    Args:
        channels, height, width: of the image.
        pixels: the most in a tile.
        each: numbers that a thread should hold.
    """
    across = min(_power_of_two(width), 1 << (pixels.bit_length() // 2))
    down = min(_power_of_two(height), pixels // across)
    deep = min(_power_of_two(channels), 64)
    warps = down * across * deep // (32 * each)
    return Tile(height=down, width=across, channels=deep, warps=min(max(warps, 1), _MOST_WARPS))


def share_out(items: int, others: int) -> int:
    """How many of `items` a program does, so that with `others` beside it there are programs enough."""
    programs = min(items, -(-_PROGRAMS // others))
    return -(-items // programs)


def _power_of_two(number: int) -> int:
    """The smallest that is not below."""
    return 1 << (number - 1).bit_length()


def _laid_out(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def _reach(kernel: int, frames: int) -> int:
    """How many frames a kernel reaches to either side that can be there: of a single frame, none."""
    return min(kernel // 2, frames - 1)


def _convolve(x: Tensor, weight: Tensor, size: Size, *, down: int, up: int) -> Tensor:
    """(B, C, T, H, W) to (B, C, *size), keeping every `down`th position of x with its pixels `up` apart."""
    x = _laid_out(x)
    clips, channels, frames, height, width = x.shape
    _, out_height, out_width = size
    out = torch.empty(
        (clips, channels, *size), dtype=x.dtype, device=x.device, memory_format=torch.channels_last_3d
    )
    kt, kh, kw = weight.shape[2:]
    reach = _reach(kt, frames)
    live = weight[:, 0, kt // 2 - reach : kt // 2 + reach + 1]  # (C, live, kh, kw)
    taps = live.flatten(1).t().contiguous()  # (live·kh·kw, C)
    tile = tile_of(channels, out_height, out_width, pixels=_MAP_PIXELS, each=_MAP_EACH)
    groups, rows, columns = tile.counts(channels, out_height, out_width)
    tiles = clips * rows * columns
    span = share_out(frames, tiles * groups)
    unit = math.gcd(channels, _VECTOR)
    map_frames[(tiles, groups, -(-frames // span))](
        x,
        taps,
        out,
        channels // unit,
        frames,
        height,
        width,
        out_height,
        out_width,
        span,
        UNIT=unit,
        DOWN=down,
        UP=up,
        KT=2 * reach + 1,
        KH=kh,
        KW=kw,
        TILE_H=tile.height,
        TILE_W=tile.width,
        TILE_C=tile.channels,
        num_warps=tile.warps,
    )
    return out
