"""Multigrid's schedule: large batches of coarse clips first. Pure arithmetic.

B clips in a batch, T frames, S × S pixels.

Source: Wu et al., "A Multigrid Method for Efficiently Training Video Models", CVPR 2020, as X3D-Multigrid
(d63d8fe6) trains X3D with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from expand.training.schedule import Phase, Schedule, Shape
from search_spaces.base import ClipSampling

# The long cycle: shares of T and S. Batches grow to about 8, 4, 2 and 1 times the usual one.
LONG_CYCLE = ((1 / 4, 0.5**0.5), (1 / 2, 0.5**0.5), (1 / 2, 1.0), (1.0, 1.0))
# Shares of the steps at whose end a long cycle is over; after the last of them, clips keep their full shape.
LONG_CYCLES_END = (0.4, 0.65, 0.85)
# The short cycle, from step to step: shares of S. The coarse half of the long cycle has the shorter one.
SHORT_CYCLES = ((0.5**0.5, 1.0), (0.5**0.5, 1.0), (0.5, 0.5**0.5, 1.0), (0.5, 0.5**0.5, 1.0))
_SIZE_MULTIPLE = 8
_MIN_SIZE = 32  # pixels: what every network of the space can take


def multigrid(
    sampling: ClipSampling, *, batch_size: int, clips: int, split_clips: int = 8, processes: int = 1
) -> Schedule:
    """Large batches of coarse clips first, again and again, and the full shape at the end.

    Every step costs about the same: B·T·H·W stays within 10 % of the usual batch's. The learning rate goes
    with the batch of the long cycle, not with that of the short one (as in the source).

    Args:
        sampling: the full clips.
        batch_size: of these, over all processes.
        clips: the budget; the number of steps is the one that comes nearest to it.
        split_clips: about how many clips of a process BatchNorm takes together.
        processes: among which each batch is divided evenly.
    """
    cycles = [
        _phase(sampling, batch_size, t, s, short, split_clips, processes)
        for (t, s), short in zip(LONG_CYCLE, SHORT_CYCLES, strict=True)
    ]
    begins = (0.0, *LONG_CYCLES_END)
    shares = [
        (end - begin) / len(cycles)
        for begin, end in zip(begins, LONG_CYCLES_END, strict=False)
        for _ in cycles
    ]
    shares.append(1 - LONG_CYCLES_END[-1])
    phases = [*cycles * len(LONG_CYCLES_END), cycles[-1]]
    means = [sum(shape.clips for shape in phase.shapes) / len(phase.shapes) for phase in phases]
    steps = max(1, round(clips / sum(share * mean for share, mean in zip(shares, means, strict=True))))
    ends = [round(steps * share) for share in accumulate(shares)]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return Schedule(phases=_merged([replace(p, steps=n) for p, n in zip(phases, counts, strict=True) if n]))


def _phase(
    sampling: ClipSampling,
    batch_size: int,
    t: float,
    s: float,
    short_cycle: Sequence[float],
    split_clips: int,
    processes: int,
) -> Phase:
    full = Shape(clips=batch_size, sampling=sampling).volume / processes
    frames = max(1, round(sampling.frames * t))
    stride = max(1, round(sampling.stride * sampling.frames / frames))  # the duration stays
    coarse = replace(sampling, frames=frames, stride=stride if frames > 1 else sampling.stride)

    def wanted(size: int) -> float:
        """Clips of a process that cost as much as its usual batch."""
        return full / (frames * size**2)

    size = _rounded(sampling.size * s, sampling.size)
    splits = max(1, round(wanted(size) / split_clips))
    shapes = []
    for share in short_cycle:
        small = _rounded(sampling.size * s * share, sampling.size)
        clips = splits * max(1, round(wanted(small) / splits))  # equal parts for BatchNorm
        shapes.append(Shape(clips=processes * clips, sampling=replace(coarse, size=small)))
    last = shapes[-1]
    return Phase(steps=0, shapes=tuple(dict.fromkeys(shapes)), splits=splits, rate=last.clips / batch_size)


def _rounded(size: float, most: int) -> int:
    """A multiple of 8 that is no smaller than a network can take; the full size as it is."""
    if round(size) >= most:
        return most
    return max(min(_MIN_SIZE, most), round(size / _SIZE_MULTIPLE) * _SIZE_MULTIPLE)


def _merged(phases: list[Phase]) -> tuple[Phase, ...]:
    """Neighbours that differ in their steps only, as one: the full shape ends a long cycle and the whole."""
    merged: list[Phase] = []
    for phase in phases:
        if merged and replace(merged[-1], steps=0) == replace(phase, steps=0):
            merged[-1] = replace(phase, steps=merged[-1].steps + phase.steps)
        else:
            merged.append(phase)
    return tuple(merged)
