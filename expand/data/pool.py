"""Runs one function on many values in a pool of child processes, which exit with their parent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from expand.system.child_processes import begin_child, start_method
from expand.system.errors import RunFailed

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

_shared: Any = None


def work(function: Callable[[S, J], R], shared: S, jobs: Sequence[J], *, processes: int) -> Iterator[R]:
    """Yield `function(shared, job)` for each job, in the order in which they finish.

    `shared` is sent to each process once. For one process or one job, all runs in this process. When the
    caller stops, by an error or Ctrl-C, so do the processes.

    Raises:
        RunFailed: a process died.
    """
    if processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield function(shared, job)
        return
    pool: Any = ProcessPool(  # pebble's own annotations are too few for strict checks
        max_workers=min(processes, len(jobs)),
        context=start_method(),
        initializer=_begin,
        initargs=(shared, dict(os.environ)),
    )
    try:
        scheduled: list[Future[R]] = [pool.schedule(_call, args=(function, job)) for job in jobs]
        for future in as_completed(scheduled):
            yield future.result()
        pool.close()
    except ProcessExpired as error:
        raise RunFailed(
            f"a process that reads videos died (exit code {error.exitcode}): look for a lack of memory, "
            "use fewer workers, and start again; what it had finished is kept."
        ) from None
    finally:
        if pool.active:
            pool.stop()
        pool.join()


def _begin(shared: Any, environment: dict[str, str]) -> None:
    global _shared
    _shared = shared
    begin_child(environment)


def _call(function: Callable[[Any, Any], R], job: Any) -> R:
    return function(_shared, job)
