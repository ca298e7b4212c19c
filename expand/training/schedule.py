"""The schedule of a training: number and kind of clips in each step, and the learning rate; pure arithmetic.

Shapes: B clips in a batch, T frames, S × S pixels.
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
    """The batch of a step: a number of clips, over all processes, and their sampling."""

    clips: int
    sampling: ClipSampling

    @property
    def volume(self) -> int:
        """B·T·H·W, to which the cost of a step is proportional."""
        return self.clips * self.sampling.frames * self.sampling.size**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A number of steps whose batches have a few shapes in turn.

    Attributes:
        steps: number of steps.
        shapes: the shapes of multigrid's short cycle; a single one without multigrid.
        splits: number of parts of a process's batch that BatchNorm normalises separately.
        rate: factor on the learning rate, which is larger for larger batches.
    """

    steps: int
    shapes: tuple[Shape, ...]
    splits: int
    rate: float

    @property
    def clips(self) -> int:
        """The number of clips in the phase."""
        return self.clips_before(self.steps)

    def clips_before(self, step: int) -> int:
        """The number of clips in the first `step` steps of the phase."""
        cycles, rest = divmod(step, len(self.shapes))
        in_cycle = [shape.clips for shape in self.shapes]
        return cycles * sum(in_cycle) + sum(in_cycle[:rest])


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """All steps of a training, phase by phase. Steps count from 0.

    schedule.at(120)             # the phase of step 120, and the shape of its batch
    schedule.clips_before(120)   # clips of steps 0 to 119
    """

    phases: tuple[Phase, ...]

    @property
    def steps(self) -> int:
        """The number of steps."""
        return sum(phase.steps for phase in self.phases)

    @property
    def clips(self) -> int:
        """The number of clips."""
        return sum(phase.clips for phase in self.phases)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first step of each phase."""
        return tuple(accumulate((phase.steps for phase in self.phases), initial=0))[:-1]

    def at(self, step: int) -> tuple[Phase, Shape]:
        """The phase of a step, and the shape of its batch."""
        phase, start = self._phase(step)
        return phase, phase.shapes[(step - start) % len(phase.shapes)]

    def shapes(self, first: int = 0) -> Iterator[Shape]:
        """The shape of every step from `first` on."""
        for step in range(first, self.steps):
            yield self.at(step)[1]

    def ended(self, step: int, every: float) -> bool:
        """Whether the last of the first `step` steps reached a multiple of `every` clips (say, an epoch)."""
        return self.clips_before(step) // every > self.clips_before(step - 1) // every

    def clips_before(self, step: int) -> int:
        """The number of clips in the first `step` steps."""
        phase, start = self._phase(min(step, self.steps - 1))
        before = sum(other.clips for other, at in zip(self.phases, self.starts, strict=True) if at < start)
        return before + phase.clips_before(step - start)

    def _phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the phase's first step."""
        starts = zip(self.phases, self.starts, strict=True)
        return next((phase, start) for phase, start in starts if step < start + phase.steps)


def exact(sampling: ClipSampling, *, batch_size: int, clips: int) -> Schedule:
    """The schedule of a short training: exactly `clips` clips, in batches of the sizes of `batch_sizes`."""
    sizes = groupby(batch_sizes(clips, batch_size))
    shapes = ((len(list(steps)), Shape(clips=size, sampling=sampling)) for size, steps in sizes)
    return Schedule(phases=tuple(Phase(steps=n, shapes=(shape,), splits=1, rate=1.0) for n, shape in shapes))


def plain(sampling: ClipSampling, *, batch_size: int, clips: int) -> Schedule:
    """The schedule of a full training without multigrid: equal batches, about `clips` clips in all."""
    shape = Shape(clips=batch_size, sampling=sampling)
    steps = max(1, round(clips / batch_size))
    return Schedule(phases=(Phase(steps=steps, shapes=(shape,), splits=1, rate=1.0),))


def released_factor(progress: float, warmup: float, start: float) -> float:
    """The learning rate of full trainings, as a share of its peak: half a period of a cosine.

    In the warm-up it rises linearly from `start` to the value of the cosine at the warm-up's end.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that is warm-up.
        start: the value at the start of the warm-up.

    Source: SlowFast's slowfast/utils/lr_policy.py at 287ec007, which X3D was released with.
    """
    if progress < warmup:
        return start + (_cosine(warmup) - start) * progress / warmup
    return _cosine(progress)


def learning_rate_factor(progress: float, warmup: float) -> float:
    """The learning rate of short trainings, as a share of its peak.

    It is a linear warm-up from 0 to 1, then half a period of a cosine down to 0.

    Args:
        progress: share of the budget that is spent, 0 … 1.
        warmup: share of the budget that is warm-up.

    Source: the cosine is that of Loshchilov and Hutter, ICLR 2017, without restarts, as X3D uses it.
    """
    if progress < warmup:
        return progress / warmup
    return _cosine((progress - warmup) / (1 - warmup))


def _cosine(progress: float) -> float:
    """Half a period of a cosine, from 1 at progress 0 to 0 at progress 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))
