"""The worker that does jobs in this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from expand.workers.base import Ended, Task, fail_overdue, find_trainer


class Here:
    """Does one job after another in this process.

    At its time limit a job is ended by an alarm signal, whose handler only runs between Python instructions:
    a job that hangs inside a library's C code can only be ended in a process of its own.
    """

    def __init__(self, trainer: str) -> None:
        self._trainer = trainer

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """See `Workers.run`."""
        train = find_trainer(self._trainer)
        for task in tasks:
            try:
                with _alarm(task.limit):
                    train(task.folder)
            except _Overdue:
                fail_overdue(task)
            yield Ended(task.folder)


class _Overdue(BaseException):
    """The time limit is over. Not an Exception, as those are caught as failures of the candidate."""


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise _Overdue inside the block after `seconds`; has no effect outside of the main thread."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_: int, __: FrameType | None) -> None:
        raise _Overdue

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
