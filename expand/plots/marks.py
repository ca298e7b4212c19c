"""Names of the marks in figures, by which the report looks up the candidate of a mark."""

from __future__ import annotations

from expand.run.rows import AttemptRow, Measured


def mark_of(figure: str, row: Measured | AttemptRow, part: str = "") -> str:
    """Return the name of a candidate's mark in a figure; `part` distinguishes its marks if it has several."""
    return f"mark:{figure}{part}:{row.key}"
