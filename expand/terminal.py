"""What every verb of the command prints with, and how it ends early."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console


class _Console(Console):
    """A console whose broken pipe ends the command as every other program's does."""

    def on_broken_pipe(self) -> None:
        """Write nothing more; `main` gives the exit code."""
        self.quiet = True
        raise BrokenPipeError


out, err = _Console(), _Console(stderr=True)


def say(text: str) -> None:
    """A line, or a few, on stderr, as they are: long ones are not broken, so that they can be copied."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(values: object) -> None:
    """One object on stdout."""
    sys.stdout.write(json.dumps(values, default=str, indent=1) + "\n")


class Interrupted(BaseException):
    """A signal that ends the command: Ctrl-C, SIGTERM, or SIGHUP of a terminal that is closed."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a command into an exception, so that workers end with it."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    with _handled(interrupt):
        yield


@contextmanager
def deferred() -> Iterator[list[int]]:
    """Only note the signals that end a command, in the list; a second one ends it at once."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if came:
            raise Interrupted(number)
        came.append(number)

    with _handled(note):
        yield came


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
