"""Borderless tables for a terminal; where one is too wide, columns are left out before words are cut."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table

_WIDE = 10_000  # columns: more than any table takes


class Listing:
    """A table of rows under headings, which Rich can print.

        listing = Listing(["axis", "MACs", "state"], right=["MACs"], wrapped=["state"], spare=["MACs"])
        listing.row("depth", "41.0 M", "failed: out of memory")

    Args:
        headings: the headings of the columns.
        right: headings of columns that are aligned at the right, as numbers are.
        wrapped: headings of columns whose cells may take several lines.
        spare: headings of columns that are left out, in this order, where the table is too wide.
        gap: number of spaces on either side of a cell.
    """

    def __init__(
        self,
        headings: Sequence[str],
        *,
        right: Sequence[str] = (),
        wrapped: Sequence[str] = (),
        spare: Sequence[str] = (),
        gap: int = 1,
    ) -> None:
        self._headings, self._right, self._wrapped = headings, right, wrapped
        self._rows: list[tuple[Sequence[RenderableType], str | None]] = []
        self._spare, self._gap = spare, gap

    def row(self, *cells: RenderableType, style: str | None = None) -> None:
        """Add a row with one cell for each heading."""
        self._rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table with as many columns as fit."""
        widths = {heading: self._width(console, options, heading) for heading in self._headings}
        for heading in self._spare:
            if sum(widths.values()) > options.max_width:
                widths.pop(heading, None)
        shown = [column for column, heading in enumerate(self._headings) if heading in widths]
        table = Table(box=None, header_style="dim", padding=(0, self._gap))
        for heading in widths:
            wrapped = heading in self._wrapped
            table.add_column(
                heading,
                justify="right" if heading in self._right else "left",
                no_wrap=not wrapped,
                overflow="fold" if wrapped else "ellipsis",
            )
        for cells, style in self._rows:
            table.add_row(*(cells[column] for column in shown), style=style)
        yield table

    def _width(self, console: Console, options: ConsoleOptions, heading: str) -> int:
        """Return a column's least width: that of its longest cell, or of its longest word if wrapped."""
        column = self._headings.index(heading)
        wide = options.update(max_width=_WIDE)
        cells = [heading, *(row[column] for row, _ in self._rows)]
        measured = [Measurement.get(console, wide, cell) for cell in cells]
        wrapped = heading in self._wrapped
        return max(one.minimum if wrapped else one.maximum for one in measured) + 2 * self._gap
