"""A live view of work that is counted, such as the networks of a profile, with the time that is left."""

from __future__ import annotations

import time

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from expand.report.live import LiveView
from expand.system.units import show_seconds


class CountView(LiveView):
    """Shows how much is done; in a file, by a line for each report.

    Args:
        console: the console.
        words: what is counted and what is done to it, such as `networks timed`.
        seconds: the least time between two lines in a file.
    """

    def __init__(self, console: Console, words: str, *, seconds: float = 0.0) -> None:
        self._what, self._seconds = words, seconds
        self._begun = self._printed = time.monotonic()
        self._first, self._done, self._total = 0, 0, 1
        super().__init__(console)

    def counted(self, done: int, total: int) -> None:
        """Show that so many are done; the first call says how many were done before."""
        if self._total == 1:
            self._begun, self._first = time.monotonic(), done
        self._done, self._total = done, total
        if not self._console.is_terminal and time.monotonic() - self._printed >= self._seconds:
            self._printed = time.monotonic()
            self.note(self._words())

    def render(self) -> RenderableType:
        """See `LiveView.render`."""
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=self._total, completed=self._done, width=30), self._words())
        return row

    def _words(self) -> str:
        words, new = f"{self._done:,} of {self._total:,} {self._what}", self._done - self._first
        if new == 0 or self._done == self._total:
            return words
        left = (time.monotonic() - self._begun) / new * (self._total - self._done)
        return f"{words}, about {show_seconds(left)} left"
