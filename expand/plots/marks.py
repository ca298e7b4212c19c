"""Names of the marks in figures, by which the report looks up the candidate of a mark."""

from __future__ import annotations

from expand.run.record import Row, key_of


def mark_of(figure: str, row: Row, part: str = "") -> str:
    """Return the name of a candidate's mark in a figure; `part` distinguishes its marks if it has several."""
    return f"mark:{figure}{part}:{key_of(row)}"
