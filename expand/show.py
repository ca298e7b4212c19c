"""What the terminal shows of a run: its tables, its state, what a search will cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from expand.forecast import Clock, forecast
from expand.machine import Machine
from expand.runs import Row
from expand.search import macs_of
from expand.setup import Setup
from expand.sheets import Sheet
from expand.status import AtWork
from expand.units import show_macs, show_seconds


def to_table(sheet: Sheet) -> Table:
    """A sheet for the terminal."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for heading, right in zip(sheet.headings, sheet.right, strict=True):
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for line in sheet.lines:
        table.add_row(*line.cells, style=line.emphasis or None)
    return table


def forecast_text(setup: Setup, clock: Clock, machine: Machine) -> str:
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
        f"time      about {show_seconds(clock.total())} with {machine.described}, the decoding of the videos "
        f"left out\nrepeats   {machine.repeats}"
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


def at_work_table(found: Sequence[AtWork]) -> Table:
    """What the workers do."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for heading in ("worker", "round", "candidate", "seed", "epoch", "time", "attempt"):
        words = heading in ("worker", "candidate")
        table.add_column(heading, justify="left" if words else "right", no_wrap=True)

    for one in found:
        table.add_row(
            one.worker,
            str(one.round),
            one.candidate,
            str(one.seed),
            f"{one.epoch:.1f}/{one.epochs:.3g}",
            show_seconds(one.seconds),
            str(one.attempt),
        )
    return table
