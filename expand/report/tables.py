"""Writes a run's tables as text, CSV, Markdown, JSON or Parquet."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

import rich.console

from expand.report.findings import findings
from expand.report.sheets import (
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
    folder: Path, what: What, form: Form, file: Path | None, console: rich.console.Console
) -> None:
    """Print a table of a run, or write it to a file.

    Args:
        folder: the run folder.
        what: which table.
        form: its format.
        file: the file; None to print the table.
        console: where it is printed.

    Raises:
        UserError: the folder is no run, the file cannot be written, or Parquet is wanted without a file.
    """
    record = read_run(folder)
    if form == "parquet" and file is None:
        raise UserError("parquet needs a file to go to, got none: add --out FILE.")
    try:
        if form == "parquet":
            frame(record, what).to_parquet(file, index=False)
        elif file is None:
            _print(record, what, form, console)
        else:
            with file.open("w", encoding="utf-8") as stream:
                _print(record, what, form, Console(file=stream, width=200))
    except OSError as error:
        raise cannot_write(file, error) from None


def _print(record: RunRecord, what: What, form: Form, console: rich.console.Console) -> None:
    if form == "text" and what == "stability" and record.stability is None:
        console.print(NOT_SAID, highlight=False)
    elif form == "text":
        sheets = {
            "trajectory": trajectory_sheet,
            "rounds": rounds_sheet,
            "decisions": decisions_sheet,
            "stability": stability_sheet,
            "trials": trials_sheet,
        }
        console.print(to_table(sheets[what](record)))
        if record.finished and what in ("trajectory", "rounds"):
            for remark in findings(record):
                console.print(f"\n{remark}", highlight=False, markup=False)
    elif form == "csv":
        console.file.write(visible(frame(record, what).to_csv(index=False)))
    elif form == "json":
        console.file.write(json.dumps(columns(record, what), indent=1) + "\n")
    else:
        console.file.write(_markdown(frame(record, what)))


def _markdown(frame: Any) -> str:
    """Return a table in GitHub's Markdown: numbers with four digits, whole numbers in full, None as empty."""
    lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns)]
    lines += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.4g}"
    return visible_line(str(value)).replace("|", "\\|")
