"""What training and validation read: batches of clips.

B clips in a batch, T frames in a clip, V videos in a split, S the side of the square crop, H × W a cached
frame. Clips are (B, 3, T, S, S), RGB.

Every random draw of a training clip comes from a generator of its own, seeded by the run's seed and the
clip's number, so neither the order of reading nor reading ahead can change it. The draws are shares of what
is possible, so networks of another size or duration see the same places of the same videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional
from numpy.typing import NDArray

from expand.data.base import Frames, Split
from expand.data.sampling import clip_times, train_start, val_starts
from search_spaces.base import ClipSampling

MEAN = 0.45
STD = 0.225

Batch = tuple[torch.Tensor, torch.Tensor]  # (B, 3, T, S, S) float32 clips, (B,) int64 labels
ValBatch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # clips, (B,) int64 videos, (B,) int64 labels

_ORDER, _AUGMENT = 0, 1  # what a generator is for; part of its seed


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """How training clips are varied.

    Attributes:
        swaps: for each class, the class of its mirror image; None: clips are not flipped.
        jitter: lowest and highest short side before the crop, in crop sizes.
    """

    swaps: tuple[int, ...] | None
    jitter: tuple[float, float] = (1.0, 1.0)


def batch_sizes(clips: int, batch_size: int) -> list[int]:
    """The sizes of the batches that `clips` clips come in.

    The last may be smaller; one clip left over joins the batch before it, for BatchNorm needs two.
    """
    full, rest = divmod(clips, batch_size)
    sizes = [batch_size] * full
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def train_batches(
    split: Split,
    sampling: ClipSampling,
    *,
    augment: Augment,
    batch_size: int,
    clips: int,
    seed: int,
    balanced: bool = False,
    first: int = 0,
) -> Iterator[Batch]:
    """Training clips number `first` to `clips` - 1 of a run, in batches.

    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0)            # 6 × 16, then 4
    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0, first=64)  # the last 36
    """
    order = clip_order(split.labels, seed=seed, balanced=balanced)
    for _ in range(first):
        next(order)
    number = first
    for size in batch_sizes(clips - first, batch_size):
        pixels = torch.empty((size, 3, sampling.frames, sampling.size, sampling.size))
        labels = torch.empty(size, dtype=torch.int64)
        for place in range(size):
            video = next(order)
            label = int(split.labels[video])
            clip, flipped = _train_clip(split, video, sampling, augment, _generator(seed, _AUGMENT, number))
            pixels[place] = clip
            labels[place] = augment.swaps[label] if flipped and augment.swaps else label
            number += 1
        yield _normalised(pixels), labels


def val_batches(
    split: Split, sampling: ClipSampling, *, val_clips: int = 1, batch_size: int = 16
) -> Iterator[ValBatch]:
    """`val_clips` centre-cropped clips of each video, video by video, in batches."""
    wanted = [
        (video, start)
        for video in range(len(split.labels))
        for start in val_starts(split.seconds(video), sampling, val_clips)
    ]
    for begin in range(0, len(wanted), batch_size):
        part = wanted[begin : begin + batch_size]
        pixels = torch.empty((len(part), 3, sampling.frames, sampling.size, sampling.size))
        for place, (video, start) in enumerate(part):
            frames = split.take(video, clip_times(float(start), sampling))  # (T, H, W, 3)
            side = min(frames.shape[1:3])
            top, left = (frames.shape[1] - side) // 2, (frames.shape[2] - side) // 2
            pixels[place] = _resized(frames[:, top : top + side, left : left + side], sampling.size)
        videos = torch.tensor([video for video, _ in part], dtype=torch.int64)
        yield _normalised(pixels), videos, torch.from_numpy(split.labels[videos.numpy()])


def clip_order(labels: NDArray[np.int64], *, seed: int, balanced: bool) -> Iterator[int]:
    """Which video each training clip is of, without end.

    Natural: every video once, in a new order each epoch. Balanced: every class once a round, and within a
    class every video once before any comes again.
    """
    if not balanced:
        yield from _shuffled(np.arange(len(labels)), seed, 0)
        return
    classes = np.unique(labels)
    videos = [_shuffled(np.flatnonzero(labels == label), seed, 2 + int(label)) for label in classes]
    for place in _shuffled(np.arange(len(classes)), seed, 1):
        yield next(videos[place])


def _shuffled(values: NDArray[np.int64], seed: int, stream: int) -> Iterator[int]:
    epoch = 0
    while True:
        yield from _generator(seed, _ORDER, stream, epoch).permutation(values).tolist()
        epoch += 1


def _generator(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _train_clip(
    split: Split, video: int, sampling: ClipSampling, augment: Augment, generator: np.random.Generator
) -> tuple[torch.Tensor, bool]:
    when, scale, down, across, mirror = generator.random(5).tolist()
    frames = split.take(video, clip_times(train_start(split.seconds(video), sampling, when), sampling))
    height, width = frames.shape[1:3]
    # Scaling the short side to so many crops, then cutting one out, is the same the other way round: cheaper.
    low, high = augment.jitter
    side = max(1, round(min(height, width) / (low + scale * (high - low))))
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    window = frames[:, top : top + side, left : left + side]  # (T, side, side, 3)
    flipped = augment.swaps is not None and mirror < 0.5
    clip = _resized(window, sampling.size)
    return clip.flip(-1) if flipped else clip, flipped


def _resized(window: Frames, size: int) -> torch.Tensor:
    """(T, side, side, 3) to (3, T, S, S), both uint8; antialiased."""
    pixels = torch.from_numpy(np.ascontiguousarray(window)).permute(0, 3, 1, 2)
    if pixels.shape[-1] != size:
        # Torch has a fast path for just this: uint8 in the order (T, H, W, 3).
        pixels = torch.nn.functional.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return pixels.transpose(0, 1)


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    """0 … 255 to zero mean and unit variance, in place."""
    return pixels.mul_(1 / (255 * STD)).sub_(MEAN / STD)
