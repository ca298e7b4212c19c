"""What the terminal shows of a run: its tables, its state, what a search will cost."""

from __future__ import annotations

from rich.table import Table

from expand.forecast import Clock, forecast
from expand.runs import Row, RunRecord
from expand.search import macs_of
from expand.setup import Setup
from expand.sheets import Sheet
from expand.units import show_macs, show_seconds


def to_table(sheet: Sheet) -> Table:
    """A sheet for the terminal."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for heading, right in zip(sheet.headings, sheet.right, strict=True):
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for line in sheet.lines:
        table.add_row(*line.cells, style=line.emphasis or None)
    return table


def forecast_text(setup: Setup, clock: Clock, workers: int, device: str) -> str:
    """What a search will cost, in a few lines."""
    expected, config, data = forecast(setup), setup.config, setup.data
    start = setup.space.sampling(setup.space.start)
    macs = macs_of(setup.space, setup.space.start, len(data.classes))
    changed = ", ".join(f"{key} {value}" for key, value in config.space.settings.items())
    basis = f"{config.space.name} with {changed}" if changed else f"{config.space.name}'s own basis"
    rounds = ", ".join(str(len(loads)) for loads in expected.rounds)
    return (
        f"data      {data.name}: {data.train:,} training and {data.val:,} validation videos, "
        f"{len(data.classes)} classes\n"
        f"start     {show_macs(macs)} MACs, clip {start} ({basis})\n"
        f"targets   {', '.join(f'{show_macs(target)} MACs' for target in sorted(config.search.targets))}\n"
        f"axes      {', '.join(setup.axes)}\n"
        f"training  about {expected.trainings} candidates ({rounds} a round), {config.training.budget} each, "
        f"{show_macs(expected.macs)} MACs in all\n"
        f"time      about {show_seconds(clock.total())} with {workers} "
        f"{'worker' if workers == 1 else 'workers'} on {device}, the decoding of the videos left out"
    )


def forecast_json(setup: Setup, clock: Clock) -> Row:
    """What a search will cost, for scripts."""
    expected = forecast(setup)
    return {
        "trainings": expected.trainings,
        "rounds": [len(loads) for loads in expected.rounds],
        "macs": expected.macs,
        "seconds": clock.total(),
    }


def status_lines(record: RunRecord) -> str:
    """A run's state in a few lines."""
    done = sum(row["state"] == "done" for row in record.trials)
    failed = sum(row["state"] == "failed" for row in record.trials)
    return (
        f"run       {record.folder}\n"
        f"state     {record.state}\n"
        f"trainings {done} done, {failed} failed, "
        f"{show_seconds(sum(row.get('seconds') or 0 for row in record.trials))} in all"
    )
