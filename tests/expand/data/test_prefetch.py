from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from expand.data.prefetch import read_ahead

_DEADLINE = 5.0


def wait_for_threads(count: int) -> None:
    deadline = time.monotonic() + _DEADLINE
    while threading.active_count() > count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_values_come_in_order_and_the_thread_ends() -> None:
    before = threading.active_count()
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    wait_for_threads(before)


def test_no_more_than_asked_are_made_before() -> None:
    made: list[int] = []

    def values() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    ahead = read_ahead(values(), most=2)
    assert next(ahead) == 0
    time.sleep(0.2)
    assert 2 <= len(made) <= 4  # the one in hand, two in the queue, one that waits for its place
    assert list(ahead) == list(range(1, 20))


def test_it_is_made_in_another_thread() -> None:
    (name,) = read_ahead(threading.current_thread().name for _ in range(1))
    assert name != threading.current_thread().name


def test_errors_come_after_the_values_before_them() -> None:
    def values() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(values())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_a_reader_that_stops_ends_the_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)))
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    wait_for_threads(before)
