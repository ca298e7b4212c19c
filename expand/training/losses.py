"""The losses of a training, each read no earlier than the device needs.

Reading a number makes the processor wait for all that it has sent to a GPU. So a step's loss is read when the
next step is on its way: the GPU never stands still, and a loss that is no number is found a step later.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from expand.jobs.job import Progress

Read = Callable[[], float]  # waits for a number, if need be
Report = Callable[[Progress], None]


class Diverged(Exception):
    """The loss stopped being a number."""


class Losses:
    """The losses of a training's steps, in their order.

        losses = Losses(total=100, report=print, behind=1)
        losses.add(60, read)    # nothing is read
        losses.add(40, read)    # the first is read, and its Progress reported
        losses.finish()         # the second too; the mean of those of the last tenth of the clips

    Args:
        total: clips of the training.
        report: is given a Progress for every step.
        behind: steps whose loss is not read yet when one more is added.
    """

    def __init__(self, *, total: int, report: Report, behind: int) -> None:
        self._total, self._report, self._behind = total, report, behind
        self._waiting: deque[tuple[int, Read]] = deque()
        self._step, self._clips = 0, 0
        self._last: list[float] = []

    def add(self, clips: int, read: Read) -> None:
        """A step was made on so many clips.

        Raises:
            Diverged: a loss is not finite; this step's, or one of those before it.
        """
        self._waiting.append((clips, read))
        while len(self._waiting) > self._behind:
            self._take()

    def finish(self) -> float:
        """The mean loss of the last tenth of the clips.

        Raises:
            Diverged: a loss is not finite.
        """
        while self._waiting:
            self._take()
        return float(np.mean(self._last))

    def state(self) -> list[object]:
        """All that later steps need to know of those so far, as plain values; every loss is read.

        Raises:
            Diverged: a loss is not finite.
        """
        while self._waiting:
            self._take()
        return [self._step, self._clips, list(self._last)]

    def restore(self, state: list[Any]) -> None:
        """Go on after the steps that `state` tells of."""
        self._step, self._clips, self._last = state

    def _take(self) -> None:
        clips, read = self._waiting.popleft()
        loss = read()
        if not math.isfinite(loss):
            raise Diverged(f"the training loss is {loss} at step {self._step}, {self._clips:,} clips in")
        self._step += 1
        self._clips += clips
        if self._clips > 0.9 * self._total:
            self._last.append(loss)
        self._report(Progress(clips=self._clips, total=self._total, loss=loss))
