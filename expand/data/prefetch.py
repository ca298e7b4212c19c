"""Reading ahead: the next values of an iterator are made in a thread while the last one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_STOP_SECONDS = 0.1  # how often the thread checks, while the queue is full, whether it should stop


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class _End:
    pass


def read_ahead(values: Iterator[T], *, most: int = 2) -> Iterator[T]:
    """Yield the same values in the same order, made in a thread, at most `most` of them in advance.

    An exception of `values` is raised here, after the values before it. The thread ends with this iterator.
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
