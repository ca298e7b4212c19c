"""The names of the marks in a figure: the report finds by them what a mark stands for."""

from __future__ import annotations

from expand.run.record import Row, key_of


def mark_of(figure: str, row: Row, part: str = "") -> str:
    """The name of a candidate's mark in a figure; `part` tells several marks of one candidate apart."""
    return f"mark:{figure}{part}:{key_of(row)}"
