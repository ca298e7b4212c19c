"""A run's tables as people read them, in text: the same on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from expand.run.record import UNGROWN, Row, key_of, score_of
from expand.system.units import show_count, show_seconds

Emphasis = Literal["", "bold", "dim"]


@dataclass(frozen=True, slots=True)
class Line:
    """A row: whose it is (`key_of`), a text for each column, and how it stands out."""

    key: str
    cells: tuple[str, ...]
    emphasis: Emphasis = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table.

    Attributes:
        right: of each column, whether it holds numbers, which stand at its right.
        spare: headings of the columns to leave out where there is no room, in this order.
    """

    headings: tuple[str, ...]
    right: tuple[bool, ...]
    lines: tuple[Line, ...]
    spare: tuple[str, ...] = ()


def trajectory_sheet(rows: Sequence[Row], words: str) -> Sheet:
    """The accepted states, and the model of each target; `words` are those of the objective."""
    several = any(row["seeds"] > 1 for row in rows)
    spread = ("± seeds",) if several else ()
    columns = {column for row in rows for column in row}
    beside = [("top-1", "top1")] if "score" in columns else [("mean class", "mean_class_accuracy")]
    beside = [(heading, column) for heading, column in beside if column in columns]
    more = tuple(heading for heading, _ in beside)
    headings = ("model", "MACs", "params", "clip", words, *spread, *more)
    lines = []
    for row in rows:
        score = "failed" if row["state"] == "failed" else share(score_of(row))
        cells = [row["name"], show_count(row["macs"]), show_count(row["params"]), clip(row), score]
        cells += [share(score_of(row, "_std"))] if several else []
        cells += [share(row[column]) for _, column in beside]
        lines.append(Line(key_of(row), tuple(cells), "bold" if row["target"] is not None else ""))
    right = tuple(heading not in ("model", "clip") for heading in headings)
    return Sheet(headings, right, tuple(lines), spare=("params", *more, "clip", *spread))


def rounds_sheet(rows: Sequence[Row], words: str) -> Sheet:
    """Every candidate of every round."""
    lines, previous = [], None
    for row in rows:
        number = "" if row["round"] == previous else str(row["round"])
        previous = row["round"]
        if row["state"] in UNGROWN:
            lines.append(Line(key_of(row), (number, row["candidate"], "", "", "", "", row["state"]), "dim"))
            continue
        spread = (
            f"{share(score_of(row, '_min'))} … {share(score_of(row, '_max'))}" if row["seeds"] > 1 else ""
        )
        cells = (
            number,
            row["candidate"],
            show_count(row["macs"]),
            clip(row),
            share(score_of(row)),
            spread,
            state_of(row),
        )
        lines.append(Line(key_of(row), cells, "bold" if state_of(row) == "accepted" else ""))
    headings = ("round", "candidate", "MACs", "clip", words, "min … max", "state")
    right = (True, False, True, False, True, False, False)
    return Sheet(headings, right, tuple(lines), spare=("min … max", "clip", "MACs"))


def trials_sheet(rows: Sequence[Row], words: str) -> Sheet:
    """Every training."""
    lines = []
    for row in rows:
        failed = row["state"] == "failed"
        cells = (
            str(row["round"]),
            row["candidate"],
            str(row["seed"]),
            show_count(row["macs"]),
            clip(row),
            "" if failed else share(score_of(row)),
            "" if failed else f"{row['loss']:.3f}",
            "" if failed else show_seconds(row["seconds"]),
            f"failed: {row['reason']}" if failed else "done",
        )
        lines.append(Line(key_of(row), cells))
    headings = ("round", "candidate", "seed", "MACs", "clip", words, "loss", "time", "state")
    right = (True, False, True, True, False, True, True, True, False)
    return Sheet(headings, right, tuple(lines), spare=("loss", "clip", "time", "MACs"))


def state_of(row: Row) -> str:
    """The state of a candidate of a round, in words."""
    state = "accepted" if row["accepted"] and row["state"] == "done" else row["state"]
    return f"{state}: {row['reason']}" if row["reason"] else str(state)


def clip(row: Row) -> str:
    return f"{row['frames']}×{row['stride']}, {row['size']}²"


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
