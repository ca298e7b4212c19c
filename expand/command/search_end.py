"""What a verb prints when its search has ended, or was interrupted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from typing import TYPE_CHECKING

from expand.system.console import err, out, own_command, print_json, say, to_type
from expand.system.signals import Interrupted

if TYPE_CHECKING:
    from expand.run.study import Run


def show_end(run: Run, as_json: bool) -> None:
    """Print a finished search's trajectory, and the commands to go on with."""
    from expand.report.page import REPORT
    from expand.report.sheets import decisions_sheet, trajectory_sheet
    from expand.report.terminal import nothing_learned, path_words, to_table
    from expand.run.frames import columns
    from expand.run.record import read_run

    record, page = read_run(run.folder), run.folder / REPORT
    if as_json:
        print_json({"run": str(run.folder), "report": str(page), "trajectory": columns(record, "trajectory")})
        return
    if not record.learned:
        say(f"\nReport: {page}\n{nothing_learned(record)}")
        return
    out.print(to_table(trajectory_sheet(record)))
    if any(decision.beliefs is not None for decision in record.decisions):
        out.print()
        out.print(to_table(decisions_sheet(record)))
        err.print(path_words(record.decisions, record.stability), highlight=False)
    if record.stopped is not None:
        say(f"\nStopped: {record.stopped}")
    models = [row.name for row in record.trajectory if row.state == "done"]
    folder, model = quote(str(run.folder)), f"{run.folder}/models/{models[-1]}.yaml"
    code = f"import expand; print(expand.load_model({json.dumps(model)}))"
    xpand, python = own_command(), to_type("python", sys.executable)
    say(
        f"\nReport: {page}\nNext:\n  {xpand} train {folder} --model {models[-1]}\n"
        f"  {xpand} plot {folder}\n  {xpand} count {quote(model)}\n"
        f"  {xpand} table {folder} --what rounds\n"
        f"  {python} -c {quote(code)}"
    )


@contextmanager
def how_to_resume(run: Run) -> Iterator[None]:
    """Print the command that resumes a run when it is interrupted inside the block."""
    try:
        yield
    except Interrupted:
        with suppress(OSError):  # a terminal that was closed
            say(f"stopped; go on with: {own_command()} resume {quote(str(run.folder))}")
        raise
