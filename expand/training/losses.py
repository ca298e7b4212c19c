"""The losses of a training's steps, which are read one step late on CUDA, so that the GPU never waits.

Reading a number from a GPU makes the CPU wait for all kernels queued before. So the loss of a step is read
after the next step is queued, and a loss that is not finite is detected one step late.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expand.data.labels import OneLabel, SeveralLabels
from expand.jobs.job import TrainingProgress
from search_spaces.base import ClipSampling

_STARTS = 4  # clips of each video from which the frequencies of several labels are estimated

Read = Callable[[], float]  # gives a loss, and waits for the device if necessary
OnStep = Callable[[TrainingProgress], None]


class Diverged(Exception):
    """A loss or a probability is not finite."""


def guess_loss(
    targets: OneLabel | SeveralLabels,
    sampling: ClipSampling,
    classes: int,
    *,
    balanced: bool = False,
    label_smoothing: float = 0.0,
) -> float:
    """The smallest training loss of a network that does not look at its clips, in nats.

    For one label that is the entropy of the class frequencies; for several labels the mean over classes of
    the entropy of whether a clip shows the class, by a few clips of each video.

    Args:
        targets: of the training videos.
        sampling: the clips.
        classes: number of classes.
        balanced: whether every class is trained on equally often.
        label_smoothing: of the training loss.
    """
    if isinstance(targets, SeveralLabels):
        starts = np.linspace(0, targets.seconds, _STARTS, endpoint=False)  # (starts, V)
        times = starts.reshape(-1, 1) + np.arange(sampling.frames) * sampling.step_seconds
        videos = np.tile(np.arange(len(targets.seconds)), _STARTS)
        flags = targets(videos, times, np.zeros(len(videos), np.bool_)).numpy()
        shown = flags.reshape(-1, classes).mean(axis=0)
        return float((_entropy(shown) + _entropy(1 - shown)).mean())
    counts = np.bincount(targets.labels, minlength=classes).astype(np.float64)
    counts = (counts > 0).astype(np.float64) if balanced else counts
    if targets.swaps is not None:
        counts = counts + counts[list(targets.swaps)]
    share = counts / counts.sum()
    return float(_entropy((1 - label_smoothing) * share + label_smoothing / classes).sum())


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """−p·log p of each share, 0 where the share is 0."""
    return -share * np.log(np.where(share > 0, share, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingLoss:
    """The loss of a training, in nats.

    Attributes:
        last: its mean over the steps of the last tenth of the clips.
        epochs: its mean over the steps of each epoch; the last epoch may be a part of one.
    """

    last: float
    epochs: tuple[float, ...]

    @classmethod
    def of(cls, losses: Sequence[float], seen: Sequence[int], epoch: int) -> TrainingLoss:
        """The loss of a training from that of each step.

        Args:
            losses: of the steps.
            seen: clips trained on after each step. A step belongs to the epoch of its last clip.
            epoch: clips in an epoch.
        """
        of_epoch: dict[int, list[float]] = {}
        for loss, clips in zip(losses, seen, strict=True):
            of_epoch.setdefault((clips - 1) // epoch, []).append(loss)
        late = [loss for loss, clips in zip(losses, seen, strict=True) if clips > 0.9 * seen[-1]]
        return cls(last=float(np.mean(late)), epochs=tuple(float(np.mean(one)) for one in of_epoch.values()))


class Losses:
    """The losses of a training's steps, in their order.

        losses = Losses(total=100, behind=1)
        losses.add(60, read)    # nothing is read
        losses.add(40, read)    # reads the first loss, and reports its TrainingProgress
        losses.read()           # reads the second loss, too

    Args:
        total: clips of the training.
        behind: number of last steps whose losses `add` leaves unread.
        alone: whether a loss that is not finite raises Diverged. If several processes share a training, they
            check `finite` together instead.

    Attributes:
        report: called with a TrainingProgress for each loss that is read.
        kept: the losses that were read.
        finite: whether all losses so far are finite.
    """

    def __init__(self, *, total: int, behind: int, alone: bool = True) -> None:
        self._total, self._behind, self._alone = total, behind, alone
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
        """Continue after `step` steps on `clips` clips, with their losses."""
        self._step, self._clips, self.kept = step, clips, list(kept)

    def _record(self, clips: int, read: Read) -> None:
        """Read the loss of a step; check it, keep it, and report it."""
        loss = read()
        self.finite = self.finite and math.isfinite(loss)
        if self._alone and not self.finite:
            raise Diverged(f"the training loss is {loss} at step {self._step}, {self._clips:,} clips in")
        self._step += 1
        self._clips += clips
        self.kept.append(loss)
        self.report(TrainingProgress(step=self._step, clips=self._clips, total=self._total, loss=loss))
