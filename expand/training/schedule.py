"""What each step of a training sees, and its learning rate. Pure arithmetic.

B clips in a batch, T frames, S × S pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby

from expand.data.clips import batch_sizes
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a step sees: so many clips of one kind, over all processes."""

    clips: int
    sampling: ClipSampling

    @property
    def volume(self) -> int:
        """B·T·H·W, which a step's cost goes with."""
        return self.clips * self.sampling.frames * self.sampling.size**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """Steps that see the same few shapes in turn.

    Attributes:
        steps: how many.
        shapes: the short cycle; one where there is none.
        splits: parts of a process's batch that BatchNorm normalises one by one.
        rate: factor of the learning rate: that of the batch.
    """

    steps: int
    shapes: tuple[Shape, ...]
    splits: int
    rate: float

    @property
    def clips(self) -> int:
        return self.clips_before(self.steps)

    def clips_before(self, step: int) -> int:
        """Clips of the first `step` steps."""
        cycles, rest = divmod(step, len(self.shapes))
        in_cycle = [shape.clips for shape in self.shapes]
        return cycles * sum(in_cycle) + sum(in_cycle[:rest])


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """All steps of a training.

    schedule.at(120)             # (the phase that step 120 is in, the shape that it sees)
    schedule.clips_before(120)   # clips of steps 0 to 119
    """

    phases: tuple[Phase, ...]

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def clips(self) -> int:
        return sum(phase.clips for phase in self.phases)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first step of each phase."""
        return tuple(accumulate((phase.steps for phase in self.phases), initial=0))[:-1]

    def at(self, step: int) -> tuple[Phase, Shape]:
        phase, start = self._phase(step)
        return phase, phase.shapes[(step - start) % len(phase.shapes)]

    def shapes(self, first: int = 0) -> Iterator[Shape]:
        """The shape of every step from `first` on."""
        for step in range(first, self.steps):
            yield self.at(step)[1]

    def ended(self, step: int, every: float) -> bool:
        """Whether the last of `step` steps was the one that ended another `every` clips."""
        return self.clips_before(step) // every > self.clips_before(step - 1) // every

    def clips_before(self, step: int) -> int:
        phase, start = self._phase(min(step, self.steps - 1))
        before = sum(other.clips for other, at in zip(self.phases, self.starts, strict=True) if at < start)
        return before + phase.clips_before(step - start)

    def _phase(self, step: int) -> tuple[Phase, int]:
        places = zip(self.phases, self.starts, strict=True)
        return next((phase, start) for phase, start in places if step < start + phase.steps)


def exact(sampling: ClipSampling, *, batch_size: int, clips: int) -> Schedule:
    """So many clips of one kind, in batches as `batch_sizes` has them."""
    sizes = groupby(batch_sizes(clips, batch_size))
    shapes = ((len(list(steps)), Shape(clips=size, sampling=sampling)) for size, steps in sizes)
    return Schedule(phases=tuple(Phase(steps=n, shapes=(shape,), splits=1, rate=1.0) for n, shape in shapes))


def plain(sampling: ClipSampling, *, batch_size: int, clips: int) -> Schedule:
    """The same shape in every step, for as many steps as come nearest to `clips`, at least one."""
    shape = Shape(clips=batch_size, sampling=sampling)
    steps = max(1, round(clips / batch_size))
    return Schedule(phases=(Phase(steps=steps, shapes=(shape,), splits=1, rate=1.0),))


def released_factor(progress: float, warmup: float, start: float) -> float:
    """The share of the peak learning rate: half a period of a cosine over the whole training.

    In the warm-up it rises linearly from `start` to the value that the cosine has at the warm-up's end.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that warms up.
        start: share of the peak learning rate at which it starts.

    Source: SlowFast's slowfast/utils/lr_policy.py at 287ec007, which X3D was released with.
    """
    if progress < warmup:
        return start + (_cosine(warmup) - start) * progress / warmup
    return _cosine(progress)


def learning_rate_factor(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear warm-up from 0, then half a period of a cosine to 0.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that warms up.

    Source: the cosine is that of Loshchilov and Hutter, ICLR 2017, without restarts, as X3D uses it.
    """
    if progress < warmup:
        return progress / warmup
    return _cosine((progress - warmup) / (1 - warmup))


def _cosine(progress: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))
