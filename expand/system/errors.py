"""The mistakes of users, and the ends of runs, as exceptions that the command turns into exit codes."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """The user's mistake: one line with what must hold, what was given and what to do. Exit code 2."""


class OtherNetwork(UserError):
    """A network that a target builds otherwise: the one mistake that takes a table, of both, to tell."""


class RunFailed(Exception):
    """The run cannot go on, through no mistake of the user: one line with the reasons. Exit code 1."""


def cannot_write(path: Path | None, error: OSError) -> UserError:
    """What to tell a user whose file or folder cannot be written."""
    return UserError(f"{path} cannot be written: {error.strerror or error}.")


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
