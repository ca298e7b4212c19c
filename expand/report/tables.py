"""Writes a run's tables as text, CSV, Markdown, JSON or Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import rich.console

from expand.report.findings import findings
from expand.report.sheets import (
    Sheet,
    decisions_sheet,
    rounds_sheet,
    stability_sheet,
    trajectory_sheet,
    trials_sheet,
)
from expand.report.terminal import NOT_SAID, to_table
from expand.run.frames import columns, frame
from expand.run.record import RunRecord, read_run
from expand.system.console import Console
from expand.system.errors import UserError, cannot_write
from expand.system.escaping import visible, visible_line

What = Literal["trajectory", "rounds", "decisions", "stability", "trials"]
Form = Literal["text", "csv", "markdown", "json", "parquet"]


def write_table(
    folder: Path,
    what: What,
    form: Form,
    file: Path | None,
    console: rich.console.Console,
    *,
    whole: bool = False,
) -> None:
    """Print a table of a run, or write it to a file.

    Args:
        folder: the run folder.
        what: which table.
        form: its format.
        file: the file; None to print the table.
        console: where it is printed.
        whole: whether Markdown has all columns, instead of those of the text.

    Raises:
        UserError: the folder is no run, the file cannot be written, Parquet is wanted without a file, or
            `whole` with another format than Markdown.
    """
    if whole and form != "markdown":
        has = "has what fits a terminal" if form == "text" else "always has all columns"
        raise UserError(f"--all must come with --format markdown, got {form}, which {has}: leave it out.")
    record = read_run(folder)
    if form == "parquet" and file is None:
        raise UserError("parquet needs a file to go to, got none: add --out FILE.")
    try:
        if form == "parquet":
            frame(record, what).to_parquet(file, index=False)
        elif file is None:
            _print(record, what, form, console, whole=whole)
        else:
            with file.open("w", encoding="utf-8") as stream:
                _print(record, what, form, Console(file=stream, width=200), whole=whole)
    except OSError as error:
        raise cannot_write(file, error) from None


def _print(record: RunRecord, what: What, form: Form, console: rich.console.Console, *, whole: bool) -> None:
    if form == "text" and what == "stability" and record.stability is None:
        console.print(NOT_SAID, highlight=False)
    elif form == "text":
        console.print(to_table(_sheet(record, what)))
        if record.finished and what in ("trajectory", "rounds"):
            for remark in findings(record):
                console.print(f"\n{remark}", highlight=False, markup=False)
    elif form == "csv":
        console.file.write(visible(frame(record, what).to_csv(index=False)))
    elif form == "json":
        console.file.write(json.dumps(columns(record, what), indent=1) + "\n")
    elif whole:
        found = frame(record, what)
        rows = ([_cell(value) for value in row] for row in found.itertuples(index=False))
        console.file.write(_markdown([*map(str, found.columns)], [False] * len(found.columns), rows))
    else:
        sheet = _sheet(record, what)
        rows = ([_cell(value) for value in line.cells] for line in sheet.lines)
        console.file.write(_markdown(sheet.headings, sheet.right, rows))


def _sheet(record: RunRecord, what: What) -> Sheet:
    sheets = {
        "trajectory": trajectory_sheet,
        "rounds": rounds_sheet,
        "decisions": decisions_sheet,
        "stability": stability_sheet,
        "trials": trials_sheet,
    }
    return sheets[what](record)


def _markdown(headings: Sequence[str], right: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in GitHub's Markdown; `right`: whether each column is aligned at the right."""
    lines = [headings, ["---:" if one else "---" for one in right], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(value: object) -> str:
    """Return a cell of Markdown: numbers with four digits, whole numbers in full, None as empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.4g}"
    return visible_line(str(value)).replace("|", "\\|")
