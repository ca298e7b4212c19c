"""The mistakes of users, and the ends of runs, as exceptions that the command turns into exit codes."""

from __future__ import annotations


class UserError(Exception):
    """The user's mistake: one line with what must hold, what was given and what to do. Exit code 2."""


class RunFailed(Exception):
    """The run cannot go on, through no mistake of the user: one line with the reasons. Exit code 1."""


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
