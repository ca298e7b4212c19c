"""Retries jobs whose workers died, and ends jobs at their time limit, for any kind of worker."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from expand.jobs.folder import read_result
from expand.workers.base import Ended, Task, fail_overdue

RETRIES = 3
_TICK = 1.0  # seconds between two checks for jobs over their time limit
_MOST = 30.0  # seconds between two checks that count at most; after more, the machine had been paused

log = logging.getLogger(__name__)


class Engine(Protocol):
    """Starts jobs in workers and reports how they ended; the supervisor decides about retries."""

    def has_room(self) -> bool:
        """Whether one more job can be started."""
        ...

    def start(self, folder: Path) -> None:
        """Give the job in `folder` to a worker, or queue it for one."""
        ...

    def began(self, folder: Path, /) -> bool:
        """Whether a worker has begun the job, which may be queued for a while after `start`."""
        ...

    def wait(self, seconds: float) -> Sequence[tuple[Path, str | None]]:
        """Wait up to `seconds` for a job to end, and return the ended jobs.

        Returns:
            The folder of each ended job, and how its worker died, or None where it did not.

        Raises:
            RunFailed: a failure that is no job's fault, such as a lost cluster.
        """
        ...

    def end(self, folder: Path) -> None:
        """End a job and its worker at once; `wait` does not return it any more."""
        ...


class Supervised:
    """Workers that an engine starts, with retries and time limits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """See `Workers.run`."""
        waiting = deque(tasks)
        running: dict[Path, Task] = {}
        ran: dict[Path, float] = {}
        checked = time.monotonic()
        losses: Counter[Path] = Counter()
        while waiting or running:
            while waiting and self._engine.has_room():
                task = waiting.popleft()
                self._engine.start(task.folder)
                running[task.folder] = task
            ended = []
            for folder, lost in self._engine.wait(_TICK):
                task = running.pop(folder)
                ran.pop(folder, None)
                if lost is None or read_result(folder) is not None:  # the worker may have died just after
                    ended.append(Ended(folder))
                    continue
                losses[folder] += 1
                if losses[folder] > RETRIES:
                    ended.append(Ended(folder, lost=f"{lost}, {losses[folder]} times"))
                    continue
                log.warning("job %s: %s; trying again (%d of %d)", folder.name, lost, losses[folder], RETRIES)
                waiting.appendleft(task)
            now = time.monotonic()
            passed, checked = min(now - checked, _MOST), now
            ended.extend(Ended(task.folder) for task in self._end_overdue(running, ran, passed))
            yield from ended

    def _end_overdue(
        self, running: dict[Path, Task], ran: dict[Path, float], passed: float
    ) -> Iterator[Task]:
        """End the jobs over their time limit, write their results, and yield them.

        Args:
            running: the jobs that were given to workers.
            ran: the seconds for which those that have begun have run.
            passed: the seconds since the last call.
        """
        for folder, task in [*running.items()]:
            if folder in ran:
                ran[folder] += passed
            elif self._engine.began(folder):
                ran[folder] = 0.0
            if task.limit is not None and ran.get(folder, 0.0) > task.limit:
                self._engine.end(folder)
                del running[folder], ran[folder]
                if read_result(folder) is None:  # the job may have ended just before
                    fail_overdue(task)
                yield task
