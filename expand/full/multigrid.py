"""The schedule of multigrid training: large batches of coarse clips first; pure arithmetic.

Shapes: B clips in a batch, T frames, S × S pixels.

Source: Wu et al., "A Multigrid Method for Efficiently Training Video Models", CVPR 2020, as X3D-Multigrid
(d63d8fe6) trains X3D with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from expand.training.schedule import Phase, Schedule, Shape
from search_spaces.base import ClipSampling

# The phases of the long cycle, as factors on T and S. Batches are about 8, 4, 2 and 1 times the usual one.
LONG_CYCLE = ((1 / 4, 0.5**0.5), (1 / 2, 0.5**0.5), (1 / 2, 1.0), (1.0, 1.0))
# Where long cycles end, as shares of all steps; after the last one, clips have their full shape.
LONG_CYCLES_END = (0.4, 0.65, 0.85)
# For each phase of the long cycle, the short cycle: factors on S that alternate from step to step.
SHORT_CYCLES = ((0.5**0.5, 1.0), (0.5**0.5, 1.0), (0.5, 0.5**0.5, 1.0), (0.5, 0.5**0.5, 1.0))
_SIZE_MULTIPLE = 8
_MIN_SIZE = 32  # pixels; every network of the space can take clips of this size


def multigrid(
    sampling: ClipSampling, *, batch_size: int, clips: int, split_clips: int = 8, processes: int = 1
) -> Schedule:
    """The schedule: several long cycles from coarse to full clips, then full clips up to the end.

    Every step costs about the same: B·T·H·W stays within 10 % of that of a usual batch. The learning rate is
    scaled by the batch of the long cycle's phase, not by that of each step in the short cycle (as in the
    source).

    Args:
        sampling: the full clips.
        batch_size: full clips in a usual batch, over all processes.
        clips: the budget, to which the number of steps is chosen as closely as possible.
        split_clips: about how many clips of a process BatchNorm normalises together.
        processes: number of processes, among which each batch is divided evenly.
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
    """A phase of the long cycle without its number of steps.

    Args:
        sampling, batch_size, split_clips, processes: as in `multigrid`.
        t, s: factors on the frames and on the size of clips.
        short_cycle: factors on the size, for the steps in turn.
    """
    full = Shape(clips=batch_size, sampling=sampling).volume / processes
    frames = max(1, round(sampling.frames * t))
    stride = max(1, round(sampling.stride * sampling.frames / frames))  # keeps the duration
    coarse = replace(sampling, frames=frames, stride=stride if frames > 1 else sampling.stride)

    def wanted(size: int) -> float:
        """The number of clips of this size that cost as much as a process's usual batch."""
        return full / (frames * size**2)

    size = _rounded(sampling.size * s, sampling.size)
    splits = max(1, round(wanted(size) / split_clips))
    shapes = []
    for share in short_cycle:
        small = _rounded(sampling.size * s * share, sampling.size)
        # A multiple of the splits, so that BatchNorm's parts are equal.
        clips = splits * max(1, round(wanted(small) / splits))
        shapes.append(Shape(clips=processes * clips, sampling=replace(coarse, size=small)))
    last = shapes[-1]
    return Phase(steps=0, shapes=tuple(dict.fromkeys(shapes)), splits=splits, rate=last.clips / batch_size)


def _rounded(size: float, most: int) -> int:
    """A size rounded to a multiple of 8, at least `_MIN_SIZE`; at most the full size `most`, unrounded."""
    if round(size) >= most:
        return most
    return max(min(_MIN_SIZE, most), round(size / _SIZE_MULTIPLE) * _SIZE_MULTIPLE)


def _merged(phases: list[Phase]) -> tuple[Phase, ...]:
    """The phases, with consecutive equal ones joined: the last long cycle and the schedule end alike."""
    merged: list[Phase] = []
    for phase in phases:
        if merged and replace(merged[-1], steps=0) == replace(phase, steps=0):
            merged[-1] = replace(phase, steps=merged[-1].steps + phase.steps)
        else:
            merged.append(phase)
    return tuple(merged)
