"""The losses of a training's steps, which are read one step late on CUDA, so that the GPU never waits.

Reading a number from a GPU makes the CPU wait for all kernels queued before. So the loss of a step is read
after the next step is queued, and a loss that is not finite is detected one step late.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from expand.jobs.job import TrainingProgress

Read = Callable[[], float]  # gives a loss, and waits for the device if necessary
OnStep = Callable[[TrainingProgress], None]


class Diverged(Exception):
    """A loss or a probability is not finite."""


class Losses:
    """The losses of a training's steps, in their order.

        losses = Losses(total=100, behind=1, keep_from=0.9)
        losses.add(60, read)    # nothing is read
        losses.add(40, read)    # reads the first loss, and reports its TrainingProgress
        losses.read()           # reads the second loss, and keeps it

    Args:
        total: clips of the training.
        behind: number of last steps whose losses `add` leaves unread.
        keep_from: share of the clips after which losses are kept.
        alone: whether a loss that is not finite raises Diverged. If several processes share a training, they
            check `finite` together instead.

    Attributes:
        report: called with a TrainingProgress for each loss that is read.
        kept: the losses that are kept.
        finite: whether all losses so far are finite.
    """

    def __init__(self, *, total: int, behind: int, keep_from: float = 0.0, alone: bool = True) -> None:
        self._total, self._behind, self._keep_from, self._alone = total, behind, keep_from, alone
        self._waiting: deque[tuple[int, Read]] = deque()
        self._step, self._clips = 0, 0
        self.report: OnStep = lambda _: None
        self.kept: list[float] = []
        self.finite = True

    def add(self, clips: int, read: Read) -> None:
        """Add the loss of a step on `clips` clips.

        Raises:
            Diverged: the loss of this step, or of an earlier one that was still unread, is not finite.
        """
        self._waiting.append((clips, read))
        self.read(behind=self._behind)

    def read(self, *, behind: int = 0) -> None:
        """Read all losses except the last `behind`.

        Raises:
            Diverged: a loss is not finite.
        """
        while len(self._waiting) > behind:
            self._record(*self._waiting.popleft())

    def restore(self, *, step: int, clips: int, kept: list[float]) -> None:
        """Continue after `step` steps on `clips` clips, with the losses kept so far."""
        self._step, self._clips, self.kept = step, clips, list(kept)

    def _record(self, clips: int, read: Read) -> None:
        """Read the loss of a step; check it, keep it if it is late enough, and report it."""
        loss = read()
        self.finite = self.finite and math.isfinite(loss)
        if self._alone and not self.finite:
            raise Diverged(f"the training loss is {loss} at step {self._step}, {self._clips:,} clips in")
        self._step += 1
        self._clips += clips
        if self._clips > self._keep_from * self._total:
            self.kept.append(loss)
        self.report(TrainingProgress(step=self._step, clips=self._clips, total=self._total, loss=loss))
