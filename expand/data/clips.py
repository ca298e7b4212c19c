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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from expand.data.ahead import read_ahead
from expand.data.base import MEAN, STD, Frames, Split
from expand.data.labels import OneLabel, Targets
from expand.data.sampling import clip_times, train_starts, val_starts
from search_spaces.base import ClipSampling

Batch = tuple[Tensor, Tensor]  # (B, 3, T, S, S) float32 clips, their targets (labels.py)
TestBatch = tuple[Tensor, Tensor]  # clips, (B,) int64 numbers of the views

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Which part of the work is one process's: every `ranks`-th piece, from piece `rank` on."""

    rank: int = 0
    ranks: int = 1

    def of(self, pieces: NDArray[Any]) -> NDArray[Any]:
        return pieces[self.rank :: self.ranks]


WHOLE = Share()


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
    targets: Targets | None = None,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Training clips number `first` to `clips` - 1 of a run, in batches of one kind.

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
    targets: Targets | None = None,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Training clips from number `first` on, in a batch for each step; the clips on `device`.

    Args:
        split: the videos.
        steps: how many clips a batch has, and of which kind they are.
        augment: how they are varied.
        seed: of their order and their draws.
        balanced: as in `clip_order`.
        first: number of the first clip.
        share: which clips of each batch are this process's own.
        targets: of the clips; None: the one label of their video.
        device: where the clips are needed.
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

    for pixels, labels in _placed(read(), device):
        yield normalised(pixels, device), labels


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewGrid:
    """What a test sees of each video.

    ViewGrid(clips=10)                             # ten centre crops
    ViewGrid(clips=10, crops=3, scale=8 / 7)       # the published 30 views

    Attributes:
        clips: spread evenly in time: the middles of equal parts.
        crops: of each clip. 1: a centre crop. 3: the short side whole, at both ends and in the middle of the
            longer one, on clips that are larger by `scale`.
        scale: short side of the frame, in crop sizes.
    """

    clips: int = 1
    crops: Literal[1, 3] = 1
    scale: float = 1.0

    @property
    def count(self) -> int:
        return self.clips * self.crops

    def seen(self, sampling: ClipSampling) -> ClipSampling:
        """The clips of a network with `sampling`: three crops are of the short side, rounded to even."""
        if self.crops == 1:
            return sampling
        return replace(sampling, size=2 * round(sampling.size * self.scale / 2))


def view_times(split: Split, sampling: ClipSampling, views: ViewGrid) -> NDArray[np.float64]:
    """(V · views, T) when the frames of the views are, in seconds, video by video."""
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
    """The views of all videos, in batches; the clips on `device`.

    View n is of video n // views.count. A process whose share of the batches it is reads every so many of
    them.
    """
    times = view_times(split, sampling, views)
    seen = views.seen(sampling)

    def read() -> Iterator[TestBatch]:
        for begin in share.of(np.arange(0, len(times), batch_size)).tolist():
            numbers = np.arange(begin, min(begin + batch_size, len(times)))
            videos = numbers // views.count
            clips = split.take(videos, times[numbers], _view_windows(split.sizes[videos], numbers, views))
            yield _gathered(clips, len(videos), seen), torch.from_numpy(numbers)

    for pixels, numbers in _placed(read(), device):
        yield normalised(pixels, device), numbers


def _view_windows(sizes: NDArray[np.int64], numbers: NDArray[np.int64], views: ViewGrid) -> NDArray[np.int64]:
    """(B, 4) the windows of views, by their numbers."""
    short = sizes.min(axis=1)
    if views.crops == 1:
        sides = np.maximum(1, np.rint(short / views.scale)).astype(np.int64)
        return _windows(sizes, sides, down=0.5, across=0.5)
    along = (numbers % views.crops) / (views.crops - 1)  # 0, 1/2, 1; the short side has no room to move in
    return _windows(sizes, short, down=along, across=along)


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


def clip_order(
    labels: NDArray[np.int64], *, seed: int, balanced: bool = False, first: int = 0
) -> Iterator[int]:
    """Which video each training clip is of, from clip `first` on, without end.

    Natural: every video once, in a new order each epoch. Balanced: every class once a round, and within a
    class every video once before any comes again.
    """
    if balanced:
        return islice(_balanced(labels, seed), first, None)
    epochs, rest = divmod(first, len(labels))
    return islice(_shuffled(np.arange(len(labels)), seed, 0, epochs), rest, None)


def _balanced(labels: NDArray[np.int64], seed: int) -> Iterator[int]:
    classes = np.unique(labels)
    videos = [_shuffled(np.flatnonzero(labels == label), seed, 2 + int(label)) for label in classes]
    for place in _shuffled(np.arange(len(classes)), seed, 1):
        yield next(videos[place])


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
    targets: Targets,
) -> Batch:
    """(B, T, S, S, 3) bytes, and targets."""
    when, scale, down, across, mirror = draws.T  # each (B,)
    starts = train_starts(split.seconds[videos], sampling, when)
    # Scaling the short side to so many crops, then cutting one out, is the same the other way round: cheaper.
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
    """(B, 4) top, bottom, left and right of squares with `sides` (B,) in frames of `sizes` (B, 2).

    `down` and `across` say where, from 0 to 1.
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
