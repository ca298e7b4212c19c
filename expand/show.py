"""Tables for the terminal: a trajectory, a run's state, a network's complexity, what a search will cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from expand.forecast import Clock, forecast
from expand.runs import Row, RunRecord
from expand.search import macs_of
from expand.setup import Setup
from expand.units import show_macs, show_seconds


def trajectory_table(rows: Sequence[Row]) -> Table:
    """The accepted states, and the model of each target."""
    several = any(row["seeds"] > 1 for row in rows)
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column("model", no_wrap=True)
    for heading in ("MACs", "params"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("clip", no_wrap=True)
    table.add_column("top-1", justify="right", no_wrap=True)
    if several:
        table.add_column("± seeds", justify="right", no_wrap=True)
    table.add_column("mean class", justify="right", no_wrap=True)
    for row in rows:
        cells = [row["name"], show_macs(row["macs"]), show_macs(row["params"]), clip(row), share(row["top1"])]
        if several:
            cells.append(share(row["top1_std"]))
        cells.append(share(row["mean_class_accuracy"]))
        if row["state"] == "failed":
            cells[4] = "failed"
        table.add_row(*cells, style="bold" if row["target"] is not None else None)
    return table


def rounds_table(rows: Sequence[Row]) -> Table:
    """Every candidate of every round."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for heading, right in (
        ("round", 1),
        ("candidate", 0),
        ("MACs", 1),
        ("clip", 0),
        ("top-1", 1),
        ("min … max", 0),
        ("state", 0),
    ):
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    previous = None
    for row in rows:
        number = "" if row["round"] == previous else str(row["round"])
        previous = row["round"]
        if row["state"] == "saturated":
            table.add_row(number, row["candidate"], "", "", "", "", "saturated", style="dim")
            continue
        spread = f"{share(row['top1_min'])} … {share(row['top1_max'])}" if row["seeds"] > 1 else ""
        state = "accepted" if row["accepted"] and row["state"] == "done" else row["state"]
        table.add_row(
            number,
            row["candidate"],
            show_macs(row["macs"]),
            clip(row),
            share(row["top1"]),
            spread,
            f"{state}: {row['reason']}" if row["reason"] else state,
            style="bold" if state == "accepted" else None,
        )
    return table


def trials_table(rows: Sequence[Row]) -> Table:
    """Every training."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for heading, right in (
        ("round", 1),
        ("candidate", 0),
        ("seed", 1),
        ("MACs", 1),
        ("clip", 0),
        ("top-1", 1),
        ("loss", 1),
        ("time", 1),
        ("state", 0),
    ):
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        failed = row["state"] == "failed"
        table.add_row(
            str(row["round"]),
            row["candidate"],
            str(row["seed"]),
            show_macs(row["macs"]),
            clip(row),
            "" if failed else share(row["top1"]),
            "" if failed else f"{row['loss']:.3f}",
            "" if failed else show_seconds(row["seconds"]),
            f"failed: {row['reason']}" if failed else "done",
        )
    return table


def forecast_text(setup: Setup, clock: Clock, workers: int, device: str) -> str:
    """What a search will cost, in a few lines."""
    expected, config, data = forecast(setup), setup.config, setup.data
    start = setup.space.sampling(setup.space.start)
    macs = macs_of(setup.space, setup.space.start, len(data.classes))
    recipe = config.training
    budget = (
        f"{recipe.clips:,} clips"
        if recipe.clips is not None
        else f"{recipe.epochs:g} epoch{'s' * (recipe.epochs != 1)}"
    )
    changed = ", ".join(f"{key} {value}" for key, value in config.space.settings.items())
    basis = f"{config.space.name} with {changed}" if changed else f"{config.space.name}'s own basis"
    rounds = ", ".join(str(len(loads)) for loads in expected.rounds)
    return (
        f"data      {data.name}: {data.train:,} training and {data.val:,} validation videos, "
        f"{len(data.classes)} classes\n"
        f"start     {show_macs(macs)} MACs, clip {start} ({basis})\n"
        f"targets   {', '.join(f'{show_macs(target)} MACs' for target in sorted(config.search.targets))}\n"
        f"axes      {', '.join(setup.axes)}\n"
        f"training  about {expected.trainings} candidates ({rounds} a round), {budget} each, "
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
    last = max(row["round"] for row in record.rounds)
    waiting = sum(row["state"] == "waiting" for row in record.rounds)
    state = (
        "finished" if record.finished else record.problem or f"in round {last}, {waiting} candidates to come"
    )
    return (
        f"run       {record.folder}\n"
        f"state     {state}\n"
        f"trainings {done} done, {failed} failed, "
        f"{show_seconds(sum(row.get('seconds') or 0 for row in record.trials))} in all"
    )


def clip(row: Row) -> str:
    return f"{row['frames']}×{row['stride']}, {row['size']}²"


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
