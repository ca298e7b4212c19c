"""Exceptions that end a command with a message for the user and an exit code."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """A mistake of the user; the message says what must hold, what was given and what to do. Exit code 2."""


class OtherNetwork(UserError):
    """An export target would build another network than the given one; the message has a table of both."""


class RunFailed(Exception):
    """The run cannot go on, though the user made no mistake; the message says why. Exit code 1."""


def cannot_write(path: Path | None, error: OSError) -> UserError:
    """Make the error for a file or folder that cannot be written."""
    return UserError(f"{path} cannot be written: {error.strerror or error}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its class name where the message is empty."""
    return next(iter(str(error).splitlines()), type(error).__name__)
