"""Workers in local processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from expand.system.child_processes import begin_child, start_method
from expand.workers.base import find_trainer


class LocalProcesses:
    """An Engine of local processes, each doing one job at a time.

    Each process is a pool of one, which replaces a process that died by another with the same GPU.
    """

    def __init__(self, count: int, *, gpus: Sequence[str], trainer: str) -> None:
        self._trainer = trainer
        self._context = start_method()
        self._gpus = [gpus[number % len(gpus)] if gpus else None for number in range(count)]
        self._pools = [_pool(self._context, gpu) for gpu in self._gpus]
        self._free = [*range(count)]
        self._jobs: dict[Future[None], tuple[Path, int]] = {}

    def has_room(self) -> bool:
        """See `Engine`."""
        return bool(self._free)

    def start(self, folder: Path) -> None:
        """See `Engine`."""
        number = self._free.pop(0)
        try:
            future = self._pools[number].schedule(_do, args=[self._trainer, folder])
        except RuntimeError:  # the pool broke because its process died while idle
            self._renew(number)
            future = self._pools[number].schedule(_do, args=[self._trainer, folder])
        self._jobs[future] = folder, number

    def began(self, _: Path) -> bool:
        """See `Engine`; always true, as a job is only started when a process is free."""
        return True

    def wait(self, seconds: float) -> list[tuple[Path, str | None]]:
        """See `Engine`."""
        from pebble import ProcessExpired

        ended: list[tuple[Path, str | None]] = []
        for future in wait(self._jobs, timeout=seconds, return_when=FIRST_COMPLETED).done:
            folder, number = self._take(future)
            error = future.exception()
            if isinstance(error, ProcessExpired):
                ended.append((folder, how_ended(error.exitcode)))
            elif isinstance(error, BrokenProcessPool):  # the process died before it took the job
                self._renew(number)
                ended.append((folder, "the worker ended before it began"))
            elif error is not None:
                raise error
            else:
                ended.append((folder, None))
        return ended

    def end(self, folder: Path) -> None:
        """See `Engine`."""
        future = next(future for future, (job, _) in self._jobs.items() if job == folder)
        future.cancel()  # pebble ends the process that does the job
        with contextlib.suppress(CancelledError, Exception):
            future.result()
        self._take(future)

    def stop(self) -> None:
        """End all processes at once."""
        for pool in self._pools:
            pool.stop()
        for pool in self._pools:
            pool.join()

    def _take(self, future: Future[None]) -> tuple[Path, int]:
        folder, number = self._jobs.pop(future)
        self._free.append(number)
        return folder, number

    def _renew(self, number: int) -> None:
        """Replace a broken pool."""
        self._pools[number].stop()
        self._pools[number].join()
        self._pools[number] = _pool(self._context, self._gpus[number])


def how_ended(exitcode: int) -> str:
    """Describe how a process ended, for messages."""
    if exitcode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-exitcode).name
            hint = ", which is what the system does when memory runs out" if name == "SIGKILL" else ""
            return f"the worker was ended by {name}{hint}"
    return f"the worker ended with exit code {exitcode}"


def _pool(context: BaseContext, gpu: str | None) -> Any:
    from pebble import ProcessPool

    environment = {**os.environ, **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})}
    return ProcessPool(max_workers=1, context=context, initializer=begin_child, initargs=(environment,))


def _do(trainer: str, folder: Path) -> None:
    find_trainer(trainer)(folder)
