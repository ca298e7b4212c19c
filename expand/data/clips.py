"""What training and validation read: batches of clips.

B clips in a batch, T frames in a clip, V videos in a split, S the side of the square crop, H × W a cached
frame. Clips are (B, 3, T, S, S), RGB, laid out channels last.

Every random draw of a training clip is a function of the run's seed and the clip's number alone, so neither
the order of reading, nor the batch size, nor reading ahead can change it. The draws are shares of what is
possible, so networks of another size or duration see the same places of the same videos.

Each clip is cropped, resized and flipped by itself, as bytes that stay in the processor's cache; what a whole
batch is faster for, its draws, its times and its normalisation, is done on the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from expand.data.ahead import read_ahead
from expand.data.base import MEAN, STD, Frames, Split
from expand.data.sampling import clip_times, train_starts, val_starts
from search_spaces.base import ClipSampling

Batch = tuple[Tensor, Tensor]  # (B, 3, T, S, S) float32 clips, (B,) int64 labels
ValBatch = tuple[Tensor, Tensor, Tensor]  # clips, (B,) int64 videos, (B,) int64 labels

_ORDER, _AUGMENT = 0, 1  # what random numbers are for; part of their seed
_DRAWS = 5  # of a clip
_BLOCKS = 2  # of a clip: Philox counts in blocks of four numbers


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
    device: str = "cpu",
) -> Iterator[Batch]:
    """Training clips number `first` to `clips` - 1 of a run, in batches; the clips on `device`.

    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0)            # 6 × 16, then 4
    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0, first=64)  # the last 36
    """
    order = islice(clip_order(split.labels, seed=seed, balanced=balanced), first, None)

    def read() -> Iterator[Batch]:
        number = first
        for size in batch_sizes(clips - first, batch_size):
            videos = np.fromiter(order, np.int64, size)
            yield _train_clips(split, videos, sampling, augment, clip_draws(seed, number, size))
            number += size

    for pixels, labels in _placed(read(), device):
        yield normalised(pixels, device), labels


def val_batches(
    split: Split, sampling: ClipSampling, *, val_clips: int = 1, batch_size: int = 16, device: str = "cpu"
) -> Iterator[ValBatch]:
    """`val_clips` centre-cropped clips of each video, video by video, in batches; the clips on `device`."""
    starts = val_starts(split.seconds, sampling, val_clips).ravel()
    of_video = np.repeat(np.arange(len(split.labels)), val_clips)

    def read() -> Iterator[Batch]:
        for begin in range(0, len(starts), batch_size):
            part = slice(begin, begin + batch_size)
            videos = of_video[part]
            sides = split.sizes[videos].min(axis=1)
            windows = _windows(split.sizes[videos], sides, down=0.5, across=0.5)
            clips = split.take(videos, clip_times(starts[part], sampling), windows)
            yield _gathered(clips, len(videos), sampling), torch.from_numpy(videos)

    for pixels, videos in _placed(read(), device):
        yield normalised(pixels, device), videos, torch.from_numpy(split.labels[videos.numpy()])


def normalised(pixels: Tensor, device: str) -> Tensor:
    """(B, T, S, S, 3) bytes to (B, 3, T, S, S) floats on the device, with zero mean and unit variance.

    Bytes go over to the device, a quarter of the floats.
    """
    clips = pixels.to(device, non_blocking=True).float()
    return clips.mul_(1 / (255 * STD)).sub_(MEAN / STD).permute(0, 4, 1, 2, 3)


def clip_draws(seed: int, first: int, count: int) -> NDArray[np.float64]:
    """(count, 5) what clips number `first`, `first` + 1 … draw, each uniform in [0, 1).

    When the clip starts; how large, how far down and how far across its window is; whether it is mirrored.
    """
    stream = np.random.Philox((seed, _AUGMENT)).advance(_BLOCKS * first)
    return np.random.Generator(stream).random((count, 4 * _BLOCKS))[:, :_DRAWS]


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
        generator = np.random.default_rng((seed, _ORDER, stream, epoch))
        yield from generator.permutation(values).tolist()
        epoch += 1


def _train_clips(
    split: Split,
    videos: NDArray[np.int64],
    sampling: ClipSampling,
    augment: Augment,
    draws: NDArray[np.float64],
) -> Batch:
    """(B, T, S, S, 3) bytes, and labels."""
    when, scale, down, across, mirror = draws.T  # each (B,)
    starts = train_starts(split.seconds[videos], sampling, when)
    # Scaling the short side to so many crops, then cutting one out, is the same the other way round: cheaper.
    low, high = augment.jitter
    short = split.sizes[videos].min(axis=1)
    sides = np.maximum(1, np.rint(short / (low + scale * (high - low)))).astype(np.int64)
    windows = _windows(split.sizes[videos], sides, down=down, across=across)
    clips = split.take(videos, clip_times(starts, sampling), windows)
    labels = split.labels[videos]
    if augment.swaps is None:
        return _gathered(clips, len(videos), sampling), torch.from_numpy(labels)
    flipped = mirror < 0.5
    labels = np.where(flipped, np.array(augment.swaps)[labels], labels)
    return _gathered(clips, len(videos), sampling, flipped), torch.from_numpy(labels)


def _windows(
    sizes: NDArray[np.int64],
    sides: NDArray[np.int64],
    *,
    down: NDArray[np.float64] | float,
    across: NDArray[np.float64] | float,
) -> NDArray[np.int64]:
    """(B, 4) top, bottom, left and right of squares with `sides` (B,) in frames of `sizes` (B, 2)."""
    top = ((sizes[:, 0] - sides + 1) * down).astype(np.int64)
    left = ((sizes[:, 1] - sides + 1) * across).astype(np.int64)
    return np.stack((top, top + sides, left, left + sides), axis=1)


def _gathered(
    clips: Iterator[Frames],
    count: int,
    sampling: ClipSampling,
    flipped: NDArray[np.bool_] | None = None,
) -> Tensor:
    """(B, T, S, S, 3) from B clips of (T, side, side, 3), all bytes."""
    shape = (count, sampling.frames, sampling.size, sampling.size, 3)
    pixels = torch.empty(shape, dtype=torch.uint8)
    places = pixels.permute(0, 1, 4, 2, 3).unbind()  # B of (T, 3, S, S)
    mirror = [False] * count if flipped is None else flipped.tolist()
    for place, clip, mirrored in zip(places, clips, mirror, strict=True):
        frames = _resized(torch.from_numpy(clip).permute(0, 3, 1, 2), sampling.size)
        place.copy_(frames.flip(-1) if mirrored else frames)
    return pixels


def _resized(frames: Tensor, size: int) -> Tensor:
    """(T, 3, side, side) to (T, 3, S, S), antialiased; torch is fast for bytes laid out like these."""
    if frames.shape[-1] == size:
        return frames
    return functional.interpolate(
        frames, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _placed(batches: Iterator[Batch], device: str) -> Iterator[Batch]:
    """Read ahead for a device that works meanwhile; on the CPU that would take cores from training."""
    return batches if device == "cpu" else read_ahead(batches)
