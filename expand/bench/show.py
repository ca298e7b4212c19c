"""Formats a benchmark's results as a table, for a terminal or for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from expand.bench.harness import Comparison, Figures, Timing
from expand.bench.proxy import Agreement
from expand.system.units import show_points


def columns(figures: Figures) -> list[str]:
    """Return the headings: the unit, each implementation, and xpand's speed relative to every other."""
    ways = list(figures.rows[0].timings)
    return [figures.unit, *ways, *(f"{way} ÷ {ways[0]}" for way in ways[1:])]


def cells(row: Comparison) -> list[str]:
    own = row.timings[row.own].fastest
    ratios = [times(timing.fastest / own) for way, timing in row.timings.items() if way != row.own]
    return [row.name, *(spread(timing) for timing in row.timings.values()), *ratios]


def spread(timing: Timing) -> str:
    """Format the fastest and the slowest time: `97.2 … 103`; only one where both read alike."""
    fastest, slowest = number(timing.fastest), number(timing.slowest)
    return fastest if fastest == slowest else f"{fastest} … {slowest}"


def number(value: float) -> str:
    """Format a number with three significant digits: 1,230, 97.2, 0.0123."""
    if value >= 1000:
        return f"{round(value, -1 if value < 10_000 else -2):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def times(ratio: float) -> str:
    """Format a ratio: 0.57, 4.05, 45,200."""
    return f"{ratio:.2f}" if ratio < 100 else number(ratio)


def conclusion(figures: Figures) -> Iterator[str]:
    """Yield the lines below the table: mean ratios, the limit, and notes."""
    own, *others = figures.rows[0].timings
    for way in others:
        mean = ", geometric mean" if len(figures.rows) > 1 else ""
        yield f"{own} is {times(figures.ratio_to(way))} times as fast as {way}{mean}"
    if figures.limit is not None:
        longest = max(row.timings[own].fastest for row in figures.rows)
        kept = "kept" if longest <= figures.limit else "exceeded"
        yield f"limit {number(figures.limit)} {figures.unit}: {kept}"
    yield from figures.notes


def table(figures: Figures) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(columns(figures)):
        shown.add_column(heading, justify="left" if column == 0 else "right")
    for row in figures.rows:
        shown.add_row(*cells(row))
    return shown


def agreement_table(found: Sequence[Agreement]) -> Table:
    """A row for each way of short trainings, beside the long ones; compute is relative to the first way's."""
    axes = list(found[0].handicaps)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("way", no_wrap=True)
    for heading in ("τ", "95 %", "apart", "regret", "learned nothing", "compute", "minutes", *axes):
        shown.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        low, high = one.interval
        shown.add_row(
            one.way,
            f"{one.tau:.2f}",
            f"{low:.2f} … {high:.2f}",
            f"{one.apart:.0%} of {one.pairs}",
            f"{100 * one.regret:.1f}",
            f"{one.learned_nothing:.0%}",
            f"{one.compute / found[0].compute:.2f}",
            f"{one.seconds / 60:.0f}",
            *(f"{show_points(shift)} ± {100 * error:.1f}" for shift, error in one.handicaps.values()),
        )
    return shown
