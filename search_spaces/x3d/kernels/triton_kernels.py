"""The Triton kernels that triton_depthwise.py launches.

A channelwise convolution does few operations on each value, so its speed is bound by memory reads. A program
owns a tile of pixels and channels and walks along the frames: it reads a frame's pixels once for each spatial
tap, and adds them to the sums of all output frames that they contribute to, which it holds in registers. Sums
are float32, and each is written by one program, without atomics, so that results are the same bits each time.

Shapes: P pixels in a tile (TILE_H rows of TILE_W), C channels in it (TILE_C). Offsets within a frame are 32
bits wide, and those of frames 64.
"""

# Triton's language: names in capitals are compile-time constants, tuples grow by adding, and mypy does not
# know its types.
# ruff: noqa: N803, N806, RUF005
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

# Not specialised by Triton, so that networks of other shapes need no compilation of their own.
_SHAPE = ("channel_units", "frames", "height", "width", "out_height", "out_width")


@triton.jit(do_not_specialize=[*_SHAPE, "span"])
def map_frames(
    x_pointer,
    taps_pointer,  # (KT·KH·KW, channels)
    out_pointer,
    channel_units,  # channels / UNIT; the compiler then knows that UNIT divides the channels, for wide loads
    frames,
    height,
    width,
    out_height,
    out_width,
    span,  # output frames of a program
    UNIT: tl.constexpr,
    DOWN: tl.constexpr,  # spatial stride
    UP: tl.constexpr,  # distance that the pixels of x are spread apart
    KT: tl.constexpr,
    KH: tl.constexpr,
    KW: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    TILE_C: tl.constexpr,
):
    """Compute a tile of `span` output frames of a convolution."""
    REACH: tl.constexpr = KT // 2
    channels = channel_units * UNIT
    clip, row, column = tile_pixels(tl.program_id(0), out_height, out_width, TILE_H, TILE_W)
    channel = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    first = tl.program_id(2) * span
    last = tl.minimum(first + span, frames)
    out_offset = (row * out_width + column)[:, None] * channels + channel[None, :]
    out_there = ((row < out_height) & (column < out_width))[:, None] & (channel < channels)[None, :]

    # sums[i] belongs to output frame `frame - REACH + i`, where `frame` is the input frame that is read.
    sums = zeros(KT, TILE_H * TILE_W, TILE_C)
    for frame in range(tl.maximum(first - REACH, 0), last + REACH):
        start = x_pointer + (clip.to(tl.int64) * frames + frame) * height * width * channels
        for kh in tl.static_range(KH):
            for kw in tl.static_range(KW):
                source_row = row * DOWN + kh - KH // 2
                source_column = column * DOWN + kw - KW // 2
                there = (source_row >= 0) & (source_column >= 0) & (frame < frames)
                if UP > 1:
                    there = there & (source_row % UP == 0) & (source_column % UP == 0)
                    source_row = source_row // UP
                    source_column = source_column // UP
                pixels = load(start, source_row, source_column, there, channel, height, width, channels)
                grown = ()
                for kt in tl.static_range(KT):
                    tap = ((KT - 1 - kt) * KH + kh) * KW + kw
                    weights = tl.load(taps_pointer + tap * channels + channel, channel < channels, 0.0)
                    grown = grown + (sums[kt] + pixels * weights.to(tl.float32)[None, :],)
                sums = grown
        out_frame = frame - REACH
        out_start = out_pointer + (clip.to(tl.int64) * frames + out_frame) * out_height * out_width * channels
        done = sums[0].to(out_pointer.dtype.element_ty)
        tl.store(out_start + out_offset, done, mask=out_there & (out_frame >= first))
        sums = sums[1:] + zeros(1, TILE_H * TILE_W, TILE_C)


@triton.jit(do_not_specialize=[*_SHAPE, "items", "share"])
def sum_products(
    x_pointer,
    grad_pointer,  # of the output
    parts_pointer,  # (programs along the tiles, KT·KH·KW, channels) float32
    channel_units,
    frames,
    height,
    width,
    out_height,
    out_width,
    items,  # tiles of pixels, of all clips
    share,  # tiles of a program
    UNIT: tl.constexpr,
    STRIDE: tl.constexpr,
    KT: tl.constexpr,
    KH: tl.constexpr,
    KW: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    TILE_C: tl.constexpr,
):
    """Compute a partial weight gradient: for each tap, the sum of output gradient times the tap's input."""
    REACH: tl.constexpr = KT // 2
    channels = channel_units * UNIT
    channel = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    sums = zeros(KT * KH * KW, TILE_H * TILE_W, TILE_C)
    begin = tl.program_id(0) * share
    for item in range(begin, tl.minimum(begin + share, items)):
        clip, row, column = tile_pixels(item, out_height, out_width, TILE_H, TILE_W)
        grads = zeros(KT, TILE_H * TILE_W, TILE_C)  # grads[i]: of output frame `frame - REACH + i`
        for coming in range(frames + REACH):
            start = grad_pointer + (clip.to(tl.int64) * frames + coming) * out_height * out_width * channels
            there = (row >= 0) & (coming < frames)
            newest = load(start, row, column, there, channel, out_height, out_width, channels)
            grads = grads[1:] + (newest,)
            frame = coming - REACH
            start = x_pointer + (clip.to(tl.int64) * frames + frame) * height * width * channels
            pixels = ()
            for kh in tl.static_range(KH):
                for kw in tl.static_range(KW):
                    source_row = row * STRIDE + kh - KH // 2
                    source_column = column * STRIDE + kw - KW // 2
                    there = (source_row >= 0) & (source_column >= 0) & (frame >= 0)
                    pixels = pixels + (
                        load(start, source_row, source_column, there, channel, height, width, channels),
                    )
            grown = ()
            for kt in tl.static_range(KT):
                for tap in tl.static_range(KH * KW):
                    grown = grown + (sums[kt * KH * KW + tap] + grads[KT - 1 - kt] * pixels[tap],)
            sums = grown
    part = parts_pointer + tl.program_id(0).to(tl.int64) * KT * KH * KW * channels
    for tap in tl.static_range(KT * KH * KW):
        tl.store(part + tap * channels + channel, tl.sum(sums[tap], axis=0), mask=channel < channels)


@triton.jit
def tile_pixels(item, height, width, TILE_H: tl.constexpr, TILE_W: tl.constexpr):
    """Return a tile's clip, and rows and columns (P,) of its pixels, which may be outside the image."""
    down = tl.cdiv(height, TILE_H)
    across = tl.cdiv(width, TILE_W)
    pixel = tl.arange(0, TILE_H * TILE_W)
    row = (item // across) % down * TILE_H + pixel // TILE_W
    column = item % across * TILE_W + pixel % TILE_W
    return item // (across * down), row, column


@triton.jit
def load(start, row, column, there, channel, height, width, channels):
    """Load (P, C) float32 pixels of the frame at `start`; zero where not `there` or outside the frame."""
    there = there & (row < height) & (column < width)
    offset = (row * width + column)[:, None] * channels + channel[None, :]
    mask = there[:, None] & (channel < channels)[None, :]
    return tl.load(start + offset, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def zeros(COUNT: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Return a tuple of COUNT (P, C) zeros."""
    tiles = ()
    for _ in tl.static_range(COUNT):
        tiles = tiles + (tl.zeros((PIXELS, CHANNELS), tl.float32),)
    return tiles
