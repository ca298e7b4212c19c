"""Processes that a driver starts, and that end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

# What libraries read when they are loaded. A training sets its own number of threads after that.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# It starts no threads and touches no GPU when it is imported, so that its importer may be forked.
_PRELOADED = ["expand.training.candidate"]


def start_method() -> BaseContext:
    """How children are started: afresh; on Linux from one process that has imported what they need.

    That saves each child seconds of imports, and again each that takes the place of one that died.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    forkserver.set_forkserver_preload(_PRELOADED)
    with _one_thread():
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


def begin_child(environment: Mapping[str, str]) -> None:
    """In a child: leave the signals of the terminal to the driver, and end as soon as that is gone.

    Args:
        environment: of the driver, now; that of the process which a child is forked from may be older.
    """
    os.environ.clear()
    os.environ.update({**environment, **_ONE_THREAD})
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None, "this is no child"
    driver.join()
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
