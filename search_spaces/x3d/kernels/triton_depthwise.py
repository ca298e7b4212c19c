"""Channelwise 3D convolution and its gradients on CUDA: launches the Triton kernels.

Shapes: B clips, C channels, T frames, H×W pixels; a kernel is kt×kh×kw, odd sizes, padded to keep the frames
and to keep or halve height and width. Channels are innermost in memory (channels_last_3d).

Tile sizes depend on shapes alone (`tile_of`, `share_out`) and are not tuned by timing at run time, since the
order of the sums, and with it the result of a training, would then vary from run to run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.x3d.kernels.triton_kernels import map_frames, sum_products

Size = tuple[int, int, int]

PROGRAMS = 512  # Triton programs to launch: about four for each of the 132 multiprocessors of an H100
VECTOR = 8  # channels in the widest load: 16 bytes of bfloat16
# Pixels in a tile, and how many of its elements a thread handles. A thread holds kt sums for each element in
# a convolution, and kt·kh·kw in a weight gradient. This fits an H100's registers with 8 to 16 warps.
MAP_PIXELS, MAP_EACH = 16, 4
SUM_PIXELS, SUM_EACH = 8, 2
_MOST_WARPS = 8


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve x (B, C, T, H, W) with weight (C, 1, kt, kh, kw), in x's precision.

    Args:
        x: the input; other layouts are converted to channels_last_3d.
        weight: the kernels; rounded to x's precision, as under autocast.
        stride: 1, or 2 to halve height and width, rounded up.
    """
    height, width = (-(-side // stride) for side in x.shape[3:])
    return _convolve(x, weight.to(x.dtype), (x.shape[2], height, width), down=stride, up=1)


def input_gradient(grad: Tensor, weight: Tensor, size: Size, stride: int) -> Tensor:
    """Return the gradient of x, given that of the output.

    It is the convolution of grad, with its pixels spread `stride` apart, with the mirrored kernel.

    Args:
        grad: gradient of the output, (B, C, T, H', W').
        weight: as in `forward`.
        size: (T, H, W) of x.
        stride: as in `forward`.
    """
    return _convolve(grad, weight.to(grad.dtype).flip(2, 3, 4), size, down=1, up=stride)


def weight_gradient(x: Tensor, grad: Tensor, kernel: Size, stride: int) -> Tensor:
    """Return the weight's gradient, float32 (C, 1, kt, kh, kw), given the output's (B, C, T, H', W').

    Every Triton program writes its partial sums to its own row of `parts`; the rows are then summed in a
    fixed order.
    """
    x, grad = _channels_last(x), _channels_last(grad)
    clips, channels, frames, height, width = x.shape
    out_height, out_width = grad.shape[3:]
    reach = _reach(kernel[0], frames)
    live = 2 * reach + 1
    tile = tile_of(channels, out_height, out_width, pixels=SUM_PIXELS, each=SUM_EACH)
    groups, down, across = tile.counts(channels, out_height, out_width)
    items = clips * down * across
    share = share_out(items, groups)
    chunks = -(-items // share)
    parts = torch.empty((chunks, live, kernel[1] * kernel[2], channels), dtype=torch.float32, device=x.device)
    unit = math.gcd(channels, VECTOR)
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
    gradient = torch.zeros((channels, 1, *kernel), dtype=torch.float32, device=x.device)
    first = kernel[0] // 2 - reach
    gradient[:, 0, first : first + live] = parts.sum(0).permute(2, 0, 1).view(channels, live, *kernel[1:])
    return gradient


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What a program computes at a time: height × width pixels of one frame, channels; all powers of two."""

    height: int
    width: int
    channels: int
    warps: int

    def counts(self, channels: int, height: int, width: int) -> Size:
        """Return how many tiles cover the channels, the height and the width."""
        return -(-channels // self.channels), -(-height // self.height), -(-width // self.width)


def tile_of(channels: int, height: int, width: int, *, pixels: int, each: int) -> Tile:
    """Choose the tile for images of this size: about square, for a short border, and at most 64 channels.

    Args:
        channels, height, width: size of the image.
        pixels: the most pixels in a tile.
        each: elements of the tile for each thread.
    """
    across = min(_power_of_two(width), 1 << (pixels.bit_length() // 2))
    down = min(_power_of_two(height), pixels // across)
    deep = min(_power_of_two(channels), 64)
    warps = down * across * deep // (32 * each)
    return Tile(height=down, width=across, channels=deep, warps=min(max(warps, 1), _MOST_WARPS))


def share_out(items: int, others: int) -> int:
    """Return how many of `items` each program should take, to launch about 512 programs in all.

    Args:
        items: tiles, or frames, to share out.
        others: programs for each share, along the other dimensions of the launch grid.
    """
    programs = min(items, -(-PROGRAMS // others))
    return -(-items // programs)


def _power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`."""
    return 1 << (number - 1).bit_length()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def _reach(kernel: int, frames: int) -> int:
    """Return how many frames a kernel reads to either side, without those that are always padding."""
    return min(kernel // 2, frames - 1)


def _convolve(x: Tensor, weight: Tensor, size: Size, *, down: int, up: int) -> Tensor:
    """Convolve (B, C, T, H, W) to (B, C, *size) with stride `down`, x's pixels being spread `up` apart."""
    x = _channels_last(x)
    clips, channels, frames, height, width = x.shape
    _, out_height, out_width = size
    out = torch.empty(
        (clips, channels, *size), dtype=x.dtype, device=x.device, memory_format=torch.channels_last_3d
    )
    kt, kh, kw = weight.shape[2:]
    reach = _reach(kt, frames)
    live = weight[:, 0, kt // 2 - reach : kt // 2 + reach + 1]  # (C, live, kh, kw)
    taps = live.flatten(1).t().contiguous()  # (live·kh·kw, C)
    tile = tile_of(channels, out_height, out_width, pixels=MAP_PIXELS, each=MAP_EACH)
    groups, rows, columns = tile.counts(channels, out_height, out_width)
    tiles = clips * rows * columns
    span = share_out(frames, tiles * groups)
    unit = math.gcd(channels, VECTOR)
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
