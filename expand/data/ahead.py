"""Reading ahead: what comes next is made while what came last is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_STOP_SECONDS = 0.1  # how often a full queue is looked at for the reader's end


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class _End:
    pass


def read_ahead(values: Iterator[T], *, most: int = 2) -> Iterator[T]:
    """The same values in the same order, made in a thread, at most `most` before they are asked for.

    What `values` raises is raised here, after the values before it. The thread ends with this iterator.
    """
    made: queue.Queue[T | _Raised | _End] = queue.Queue(maxsize=most)
    stopped = threading.Event()

    def put(value: T | _Raised | _End) -> bool:
        while not stopped.is_set():
            try:
                made.put(value, timeout=_STOP_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for value in values:
                if not put(value):
                    return
        except BaseException as error:  # raised again where the values are read
            put(_Raised(error))
        else:
            put(_End())

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while not isinstance(value := made.get(), _End):
            if isinstance(value, _Raised):
                raise value.error
            yield value
    finally:
        stopped.set()
        thread.join()
