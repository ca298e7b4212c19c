"""What a verb prints when its search has ended, or was interrupted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from typing import TYPE_CHECKING

from expand.system.console import err, out, own_command, print_json, say, tell, to_type
from expand.system.signals import Interrupted

if TYPE_CHECKING:
    from expand.run.record import RunRecord
    from expand.run.study import Run


def show_end(run: Run, as_json: bool) -> None:
    """Print a finished search's trajectory, what to know of it, and the commands to go on with."""
    from expand.report.findings import findings
    from expand.report.page import REPORT
    from expand.report.sheets import decisions_sheet, trajectory_sheet
    from expand.report.terminal import path_words, to_table
    from expand.run.frames import columns
    from expand.run.guessing import found_something
    from expand.run.record import read_run

    record, page = read_run(run.folder), run.folder / REPORT
    remarks = findings(record)
    if as_json:
        files = {"run": str(run.folder), "report": str(page)}
        print_json({**files, "remarks": remarks, "trajectory": columns(record, "trajectory")})
        return
    if not record.learned:
        say(f"\nReport: {page}")
        tell(remarks[0])
        return
    out.print(to_table(trajectory_sheet(record)))
    sound = found_something(record)
    if sound and any(decision.beliefs is not None for decision in record.decisions):
        out.print()
        out.print(to_table(decisions_sheet(record)))
        err.print(path_words(record.decisions, record.stability), highlight=False)
    if record.stopped is not None:
        tell(f"\nStopped: {record.stopped}")
    for remark in remarks:
        tell(f"\n{remark}")
    commands = _use(record) if sound else _search_again(record)
    say("\n  ".join([f"\nReport: {page}\nNext:", *commands]))


def _use(record: RunRecord) -> list[str]:
    """The commands that go on with the largest target's network, or with the cheaper one that is as good."""
    from expand.run.guessing import to_use

    name, folder, xpand = to_use(record).name, quote(str(record.folder)), own_command()
    model = f"{record.folder}/models/{name}.yaml"
    code = f"import expand; print(expand.load_model({json.dumps(model)}))"
    return [
        f"{xpand} train {folder} --model {name}",
        f"{xpand} plot {folder}",
        f"{xpand} count {quote(model)}",
        f"{xpand} table {folder} --what rounds",
        f"{to_type('python', sys.executable)} -c {quote(code)}",
    ]


def _search_again(record: RunRecord) -> list[str]:
    """The commands to look at what networks see, and to search again with longer trainings."""
    recipe, xpand = record.config.training, own_command()
    config = quote(f"{record.folder}/config.yaml")
    longer = (
        f"--epochs {4 * recipe.epochs:g}"
        if recipe.epochs
        else f"--set training.clips={4 * (recipe.clips or 1)}"
    )
    return [
        f"{xpand} frames --config {config} --out clips",
        f"{xpand} search --config {config} {longer}",
        f"{xpand} table {quote(str(record.folder))} --what rounds",
    ]


@contextmanager
def how_to_resume(run: Run) -> Iterator[None]:
    """Print the command that resumes a run when it is interrupted inside the block."""
    try:
        yield
    except Interrupted:
        with suppress(OSError):  # a terminal that was closed
            say(f"stopped; go on with: {own_command()} resume {quote(str(run.folder))}")
        raise
