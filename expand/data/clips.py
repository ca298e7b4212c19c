"""Batches of clips for training, validation and tests: sampled, cropped, resized, flipped and normalised.

Shapes: B clips in a batch, T frames in a clip, V videos in a split, S the side of the square crop, H × W a
cached frame. Clips are (B, 3, T, S, S), RGB, in channels-last memory layout.

The random numbers of a training clip depend on the run's seed and the clip's number alone, not on the order
of reading, the batch size, or reading ahead. They are fractions of the possible range, so that networks with
clips of another size or duration see the same parts of the same videos.

Each clip is cropped, resized and flipped separately, as bytes that fit the processor's cache; random numbers,
times and normalisation are computed for a whole batch, which is faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from expand.data.base import MEAN, STD, Frames, Split
from expand.data.labels import ClipTargets, OneLabel
from expand.data.prefetch import read_ahead
from expand.data.sampling import clip_times, train_starts, val_starts
from search_spaces.base import ClipSampling

Batch = tuple[Tensor, Tensor]  # (B, 3, T, S, S) float32 clips, their targets (labels.py)
TestBatch = tuple[Tensor, Tensor]  # clips as in Batch, (B,) int64 indices of the views

_ORDER, _AUGMENT = 0, 1  # purposes of random numbers, part of their seed
_DRAWS = 5  # random numbers of a clip
_BLOCKS = 2  # blocks of random numbers of a clip: Philox counts in blocks of four


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """The augmentation of training clips.

    Attributes:
        swaps: for each class, the class of its mirror image; None where clips are not flipped.
        jitter: range of the frame's short side before the crop, as multiples of the crop's size.
    """

    swaps: tuple[int, ...] | None
    jitter: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The part of a batch that one process of several handles: every `ranks`-th element from `rank` on."""

    rank: int = 0
    ranks: int = 1

    def of(self, pieces: NDArray[Any]) -> NDArray[Any]:
        return pieces[self.rank :: self.ranks]


WHOLE = Share()


def batch_sizes(clips: int, batch_size: int) -> list[int]:
    """Return the sizes of the batches for this many clips.

    The last may be smaller; a single remaining clip joins the batch before it, as BatchNorm needs two.
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
    targets: ClipTargets | None = None,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Yield training clips number `first` to `clips` - 1 of a run in batches, all with the same sampling.

    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0)            # 6 × 16, then 4
    train_batches(split, sampling, augment=…, batch_size=16, clips=100, seed=0, first=64)  # the last 36
    """
    steps = ((size, sampling) for size in batch_sizes(clips - first, batch_size))
    return planned_batches(
        split,
        steps,
        augment=augment,
        seed=seed,
        balanced=balanced,
        first=first,
        targets=targets,
        device=device,
    )


def planned_batches(
    split: Split,
    steps: Iterable[tuple[int, ClipSampling]],
    *,
    augment: Augment,
    seed: int,
    balanced: bool = False,
    first: int = 0,
    share: Share = WHOLE,
    targets: ClipTargets | None = None,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Yield a batch of training clips on `device` for each step, from clip number `first` on.

    Args:
        split: the videos.
        steps: for each step, the number of clips in its batch and their sampling.
        augment: the augmentation.
        seed: seed of the clips' order and augmentation.
        balanced: as in `clip_order`.
        first: number of the first clip.
        share: the clips of each batch that this process handles.
        targets: gives the targets of clips; None for the one label of their video.
        device: device of the returned clips.
    """
    order = clip_order(split.labels, seed=seed, balanced=balanced, first=first)
    wanted = targets or OneLabel(labels=split.labels, swaps=augment.swaps)

    def read() -> Iterator[Batch]:
        number = first
        for size, sampling in steps:
            videos = share.of(np.fromiter(islice(order, size), np.int64, size))
            draws = share.of(clip_draws(seed, number, size))
            yield _train_clips(split, videos, sampling, augment, draws, wanted)
            number += size

    for pixels, labels in _read_ahead_for(read(), device):
        yield normalised(pixels, device), labels


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewGrid:
    """The views of each video in a test: clips spread in time, times crops spread in space.

    ViewGrid(clips=10)                             # ten centre crops
    ViewGrid(clips=10, crops=3, scale=8 / 7)       # the published 30 views

    Attributes:
        clips: number of clips, in the middles of equal parts of the video.
        crops: number of crops of each clip. 1 is a centre crop. 3 are squares as wide as the short side, at
            both ends and in the middle of the long side, on clips that are larger by `scale`.
        scale: short side of the frame as a multiple of the training crop's size.
    """

    clips: int = 1
    crops: Literal[1, 3] = 1
    scale: float = 1.0

    @property
    def count(self) -> int:
        return self.clips * self.crops

    def seen(self, sampling: ClipSampling) -> ClipSampling:
        """Return the sampling of the views: that of the network, for three crops `scale` times as large.

        The larger size is rounded to an even number.
        """
        if self.crops == 1:
            return sampling
        return replace(sampling, size=2 * round(sampling.size * self.scale / 2))


def view_times(split: Split, sampling: ClipSampling, views: ViewGrid) -> NDArray[np.float64]:
    """Return the times of the frames of all views, video by video: (V · views, T), in seconds."""
    starts = np.repeat(val_starts(split.seconds, sampling, views.clips), views.crops, axis=1)
    return clip_times(starts.ravel(), sampling)


def view_batches(
    split: Split,
    sampling: ClipSampling,
    views: ViewGrid,
    *,
    batch_size: int = 16,
    share: Share = WHOLE,
    device: str = "cpu",
) -> Iterator[TestBatch]:
    """Yield the views of all videos in batches on `device`, each with the indices of its views.

    View n is of video n // views.count. `share` selects the batches that this process reads.
    """
    times = view_times(split, sampling, views)
    seen = views.seen(sampling)

    def read() -> Iterator[TestBatch]:
        for begin in share.of(np.arange(0, len(times), batch_size)).tolist():
            numbers = np.arange(begin, min(begin + batch_size, len(times)))
            videos = numbers // views.count
            clips = split.take(videos, times[numbers], _view_windows(split.sizes[videos], numbers, views))
            yield _gathered(clips, len(videos), seen), torch.from_numpy(numbers)

    for pixels, numbers in _read_ahead_for(read(), device):
        yield normalised(pixels, device), numbers


def _view_windows(sizes: NDArray[np.int64], numbers: NDArray[np.int64], views: ViewGrid) -> NDArray[np.int64]:
    """Return the crop windows of the views with these numbers, (B, 4)."""
    short = sizes.min(axis=1)
    if views.crops == 1:
        sides = np.maximum(1, np.rint(short / views.scale)).astype(np.int64)
        return _windows(sizes, sides, down=0.5, across=0.5)
    along = (numbers % views.crops) / (views.crops - 1)  # 0, 1/2, 1 along the long side
    return _windows(sizes, short, down=along, across=along)


def normalised(pixels: Tensor, device: str) -> Tensor:
    """Convert (B, T, S, S, 3) bytes to normalised (B, 3, T, S, S) floats on the device.

    The bytes are moved to the device before the conversion, as floats are four times as large.
    """
    clips = pixels.to(device, non_blocking=True).float()
    return clips.mul_(1 / (255 * STD)).sub_(MEAN / STD).permute(0, 4, 1, 2, 3)


def clip_draws(seed: int, first: int, count: int) -> NDArray[np.float64]:
    """Return the random numbers of clips `first`, `first` + 1, …, (count, 5), each uniform in [0, 1).

    They decide the clip's start, the size and vertical and horizontal position of its crop, and its flip.
    """
    stream = np.random.Philox((seed, _AUGMENT)).advance(_BLOCKS * first)
    return np.random.Generator(stream).random((count, 4 * _BLOCKS))[:, :_DRAWS]


def clip_order(
    labels: NDArray[np.int64], *, seed: int, balanced: bool = False, first: int = 0
) -> Iterator[int]:
    """Yield the index of each training clip's video, from clip `first` on, endlessly.

    By default every video comes once an epoch, in a new random order each. If `balanced`, every class comes
    once a round, and within a class every video once before any comes again.
    """
    if balanced:
        return islice(_balanced(labels, seed), first, None)
    epochs, rest = divmod(first, len(labels))
    return islice(_shuffled(np.arange(len(labels)), seed, 0, epochs), rest, None)


def _balanced(labels: NDArray[np.int64], seed: int) -> Iterator[int]:
    classes = np.unique(labels)
    videos = [_shuffled(np.flatnonzero(labels == label), seed, 2 + int(label)) for label in classes]
    for index in _shuffled(np.arange(len(classes)), seed, 1):
        yield next(videos[index])


def _shuffled(values: NDArray[np.int64], seed: int, stream: int, epoch: int = 0) -> Iterator[int]:
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
    targets: ClipTargets,
) -> Batch:
    """Return clips as (B, T, S, S, 3) bytes, and their targets."""
    when, scale, down, across, mirror = draws.T  # each (B,)
    starts = train_starts(split.seconds[videos], sampling, when)
    # Cropping first and resizing the crop gives the same as resizing the frame first, and is cheaper.
    low, high = augment.jitter
    short = split.sizes[videos].min(axis=1)
    sides = np.maximum(1, np.rint(short / (low + scale * (high - low)))).astype(np.int64)
    windows = _windows(split.sizes[videos], sides, down=down, across=across)
    times = clip_times(starts, sampling)
    flipped = np.logical_and(augment.swaps is not None, mirror < 0.5)
    clips = _gathered(split.take(videos, times, windows), len(videos), sampling, flipped)
    return clips, targets(videos, times, flipped)


def _windows(
    sizes: NDArray[np.int64],
    sides: NDArray[np.int64],
    *,
    down: NDArray[np.float64] | float,
    across: NDArray[np.float64] | float,
) -> NDArray[np.int64]:
    """Return top, bottom, left and right, (B, 4), of squares of `sides` (B,) in frames of `sizes` (B, 2).

    `down` and `across` are their vertical and horizontal position, from 0 to 1.
    """
    room = sizes - sides[:, None]
    top = np.minimum((room[:, 0] + 1) * down, room[:, 0]).astype(np.int64)
    left = np.minimum((room[:, 1] + 1) * across, room[:, 1]).astype(np.int64)
    return np.stack((top, top + sides, left, left + sides), axis=1)


def _gathered(
    clips: Iterator[Frames],
    count: int,
    sampling: ClipSampling,
    flipped: NDArray[np.bool_] | None = None,
) -> Tensor:
    """Resize and flip B clips of (T, side, side, 3), and stack them to (B, T, S, S, 3) bytes."""
    shape = (count, sampling.frames, sampling.size, sampling.size, 3)
    pixels = torch.empty(shape, dtype=torch.uint8)
    slots = pixels.permute(0, 1, 4, 2, 3).unbind()  # B of (T, 3, S, S)
    mirror = [False] * count if flipped is None else flipped.tolist()
    for slot, clip, mirrored in zip(slots, clips, mirror, strict=True):
        frames = _resized(torch.from_numpy(clip).permute(0, 3, 1, 2), sampling.size)
        slot.copy_(frames.flip(-1) if mirrored else frames)
    return pixels


def _resized(frames: Tensor, size: int) -> Tensor:
    """Resize (T, 3, side, side) to (T, 3, S, S), antialiased; fast for bytes in channels-last layout."""
    if frames.shape[-1] == size:
        return frames
    return functional.interpolate(
        frames, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _read_ahead_for(batches: Iterator[Batch], device: str) -> Iterator[Batch]:
    """Read batches ahead in a thread, unless training is on the CPU, which would lose a core to it."""
    return batches if device == "cpu" else read_ahead(batches)
