"""Child processes of a driver, which exit when the driver exits."""

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

# Numeric libraries read these when they are loaded. A training sets its own number of threads later.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Importing it starts no threads and touches no GPU, so the process that has imported it may be forked.
PRELOADED = ["expand.training.candidate"]


def start_method() -> BaseContext:
    """Return the multiprocessing context for children: a fork server on Linux, `spawn` elsewhere.

    The fork server has imported torch and the training code once, so that each child, and each replacement
    of a child that died, starts without seconds of imports.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    forkserver.set_forkserver_preload(PRELOADED)
    with _one_thread():
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


def begin_child(environment: Mapping[str, str]) -> None:
    """Set up a child process: it ignores Ctrl-C and SIGHUP, and exits as soon as its driver is gone.

    Args:
        environment: the driver's current environment variables; the fork server's may be older.
    """
    os.environ.clear()
    os.environ.update({**environment, **ONE_THREAD})
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None, "must be called in a child process"
    driver.join()
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
