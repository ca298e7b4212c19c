"""A live view of a profile: how many networks are timed, and how long the others will take."""

from __future__ import annotations

import time

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from expand.report.live import LiveView
from expand.system.units import show_seconds


class ProfileView(LiveView):
    """Shows the progress of a profile; in a file, by a line for each group of networks."""

    def __init__(self, console: Console) -> None:
        self._begun, self._first = time.monotonic(), 0
        self._done, self._total = 0, 1
        super().__init__(console)

    def timed(self, done: int, total: int) -> None:
        """Show that so many networks are timed; the first call says how many were before."""
        if self._total == 1:
            self._begun, self._first = time.monotonic(), done
        self._done, self._total = done, total
        if not self._console.is_terminal:
            self.note(self._words())

    def render(self) -> RenderableType:
        """See `LiveView.render`."""
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=self._total, completed=self._done, width=30), self._words())
        return row

    def _words(self) -> str:
        words, new = f"{self._done} of {self._total} networks timed", self._done - self._first
        if new == 0 or self._done == self._total:
            return words
        left = (time.monotonic() - self._begun) / new * (self._total - self._done)
        return f"{words}, about {show_seconds(left)} left"
