"""The base of live views: refreshes a display on the terminal, and shows the decoding of the videos."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from expand.data.progress import StageProgress
from expand.system.escaping import visible_line


class LiveView:
    """A context manager that shows what `render` returns twice a second, if the console is a terminal.

    A subclass must call this constructor last, since the constructor may call `render`.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._caching: StageProgress | None = None
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            with suppress(OSError) if error is not None else nullcontext():  # the terminal may be gone
                self._live.stop()

    def note(self, text: str) -> None:
        """Show a line that stays visible; a terminal breaks it between words, a file has it whole."""
        whole = not self._console.is_terminal
        self._console.print(text, highlight=False, markup=False, soft_wrap=whole)

    def caching(self, progress: StageProgress) -> None:
        """Show the progress of decoding the videos, and print its note, if it has one."""
        if progress.note:
            note = visible_line(progress.note)
            self._console.print(note, style="dim", highlight=False, markup=False, soft_wrap=True)
        self._caching = progress

    def caching_row(self) -> RenderableType:
        """Return a progress bar of the decoding."""
        assert self._caching is not None
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._caching.total, completed=self._caching.done, width=40)
        row.add_row(self._caching.what, bar, f"{self._caching.done:,} of {self._caching.total:,}")
        return row

    def render(self) -> RenderableType:
        """Return the current display; each view overrides it."""
        raise NotImplementedError
