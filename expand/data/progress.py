"""What is shown of long work on videos while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class StageProgress:
    """The state of long work: `done` of `total` units of `what`; `note` is a line to show and keep."""

    what: str
    done: int
    total: int
    note: str = ""


OnProgress = Callable[[StageProgress], None]


def silent(progress: StageProgress) -> None:
    """Show no progress."""
