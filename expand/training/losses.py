"""The losses of a training, each read no earlier than the device needs.

Reading a number makes the processor wait for all that it has sent to a GPU. So a step's loss is read when the
next step is on its way: the GPU never stands still, and a loss that is no number is found a step later.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from expand.jobs.job import TrainingProgress

Read = Callable[[], float]  # waits for a number, if need be
OnStep = Callable[[TrainingProgress], None]


class Diverged(Exception):
    """The loss stopped being a number."""


class Losses:
    """The losses of a training's steps, in their order.

        losses = Losses(total=100, behind=1, keep_from=0.9)
        losses.add(60, read)    # nothing is read
        losses.add(40, read)    # the first is read, and its TrainingProgress reported
        losses.read()           # the second too, which is kept

    Args:
        total: clips of the training.
        behind: steps whose loss is not read yet when one more is added.
        keep_from: share of the clips after which losses are kept.
        alone: whether a loss that is not finite is raised. Where several processes train, they first agree.

    Attributes:
        report: is given a TrainingProgress for every step.
        kept: those that are kept.
        finite: whether all were, so far.
    """

    def __init__(self, *, total: int, behind: int, keep_from: float = 0.0, alone: bool = True) -> None:
        self._total, self._behind, self._keep_from, self._alone = total, behind, keep_from, alone
        self._waiting: deque[tuple[int, Read]] = deque()
        self._step, self._clips = 0, 0
        self.report: OnStep = lambda _: None
        self.kept: list[float] = []
        self.finite = True

    def add(self, clips: int, read: Read) -> None:
        """A step was made on so many clips.

        Raises:
            Diverged: a loss is not finite; this step's, or one of those before it.
        """
        self._waiting.append((clips, read))
        self.read(behind=self._behind)

    def read(self, *, behind: int = 0) -> None:
        """Read all but the last few.

        Raises:
            Diverged: a loss is not finite.
        """
        while len(self._waiting) > behind:
            self._take(*self._waiting.popleft())

    def restore(self, *, step: int, clips: int, kept: list[float]) -> None:
        """Go on after so many steps and clips."""
        self._step, self._clips, self.kept = step, clips, list(kept)

    def _take(self, clips: int, read: Read) -> None:
        loss = read()
        self.finite = self.finite and math.isfinite(loss)
        if self._alone and not self.finite:
            raise Diverged(f"the training loss is {loss} at step {self._step}, {self._clips:,} clips in")
        self._step += 1
        self._clips += clips
        if self._clips > self._keep_from * self._total:
            self.kept.append(loss)
        self.report(TrainingProgress(step=self._step, clips=self._clips, total=self._total, loss=loss))
