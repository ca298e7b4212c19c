"""Where candidates are trained. Workers know job folders and nothing of a search.

    with open_workers(2) as workers:
        for folder in workers.run(folders):       # in the order in which they finish
            read_result(folder)                   # always there: a Measurement or a Failure

A worker that dies fails the job it was at, and only that one. Leaving the `with` block early, by an
exception or a signal, ends the processes at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Protocol

from expand.jobs import Failure, write_result


class Workers(Protocol):
    """Does jobs; see the module's docstring."""

    def run(self, folders: Sequence[Path]) -> Iterator[Path]:
        """Do the jobs of these folders, started in this order; yields each when its result is in place."""
        ...


@contextlib.contextmanager
def open_workers(count: int) -> Iterator[Workers]:
    """One worker in this process, or `count` local processes."""
    if count == 1:
        yield _InProcess()
        return
    pool = _LocalProcesses(count)
    try:
        yield pool
    finally:
        pool.stop()


class _InProcess:
    def run(self, folders: Sequence[Path]) -> Iterator[Path]:
        from expand.training.candidate import run_job

        for folder in folders:
            run_job(folder)
            yield folder


class _LocalProcesses:
    """A pool of processes that start afresh (spawn), each doing one job at a time."""

    def __init__(self, count: int) -> None:
        from pebble import ProcessPool

        self._pool = ProcessPool(
            max_workers=count,
            context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(os.getpid(),),
        )

    def run(self, folders: Sequence[Path]) -> Iterator[Path]:
        from pebble import ProcessExpired

        waiting: dict[Future[None], Path] = {
            self._pool.schedule(_run_job, args=[folder]): folder for folder in folders
        }
        for future in as_completed(waiting):
            folder = waiting[future]
            try:
                future.result()
            except ProcessExpired as error:
                write_result(folder, Failure(reason=_why(error.exitcode)))
            yield folder

    def stop(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _why(exitcode: int) -> str:
    """The end of a worker in words."""
    if exitcode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-exitcode).name
            hint = ", which is what the system does when memory runs out" if name == "SIGKILL" else ""
            return f"the worker was ended by {name}{hint}"
    return f"the worker ended with exit code {exitcode}"


def _run_job(folder: Path) -> None:
    from expand.training.candidate import run_job

    run_job(folder)


def _start_worker(driver: int) -> None:
    """Leave Ctrl-C to the driver, and end when the driver is gone, even by kill -9."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(0.5)
    os._exit(1)
