"""The verbs of `xpand bench` that train networks to find out how good the decisions of searches are.

As in cli.py, heavy modules are only imported by the verbs that need them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from expand.command.arguments import AsJson, ConfigFile, DataFolder, Seeds, Settings, TargetOption
from expand.config.command_settings import chosen_settings
from expand.system.console import Console, err, out, print_json
from expand.system.files import write_atomic
from expand.system.signals import interruptible

_WIDTH = 160  # the largest width of a table of many ways, which is wider than most terminals


def proxy(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the runs; one that exists is gone on with.")
    ],
    data: DataFolder = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    settings: Settings = None,
    grow: Annotated[
        list[str] | None,
        typer.Option(
            "--grow", help="Compare along all axes of the start grown along this one, too; repeats."
        ),
    ] = None,
    way: Annotated[
        list[str] | None, typer.Option("--way", help="Measure this way only; repeats. By default all.")
    ] = None,
    seeds: Seeds = 3,
    as_json: AsJson = False,
    file: Annotated[
        Path | None, typer.Option("--figures", help="Write what is found, with all trainings, as JSON.")
    ] = None,
) -> None:
    """Train candidates briefly in several ways, and at length: which way compares them as they will be?"""
    from expand.bench.proxy import LONG, WAYS, compare, measure, read_ways, to_json
    from expand.bench.show import agreement_table
    from expand.config.options import build_config
    from expand.report.live_search import SearchView
    from expand.system.errors import UserError

    if unknown := [name for name in way or () if name not in WAYS]:
        raise UserError(f"--way must be one of {'; '.join(WAYS)}, got {'; '.join(unknown)}.")
    chosen = chosen_settings(settings, {"search.seeds": seeds})
    built = build_config(config, data=data, targets=target or (), settings=chosen)
    with interruptible(), SearchView(err) as view:
        measure(built, grow or (), way or list(WAYS), folder, view)
    found = read_ways(folder)
    if file is not None or as_json:
        values = to_json(found)
        if file is not None:
            write_atomic(file, json.dumps(values, indent=1) + "\n")
        if as_json:
            print_json(values)
            return
    if LONG not in found:
        err.print(f"Measured. To compare the ways, measure the long trainings, too: --way {LONG}.")
        return
    Console(width=_WIDTH).print(agreement_table(compare(found)))


def table(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the table and its runs; one that exists is gone on with.")
    ],
    data: DataFolder = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Trainings of each network; by default as --config says, or 1."),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Rounds of expansion all of whose networks are trained.")
    ] = 2,
    further: Annotated[
        int, typer.Option("--further", min=0, help="Rounds after these, whose networks are trained last.")
    ] = 0,
    drawn: Annotated[
        list[int] | None,
        typer.Option("--drawn", min=1, help="Networks drawn near each target; once for each target."),
    ] = None,
    sampled: Annotated[
        int,
        typer.Option(
            "--sampled", min=1, help="Networks trained at length, beside those within the smallest target."
        ),
    ] = 12,
    way: Annotated[
        list[str] | None,
        typer.Option("--way", help="Train in this way only: scratch, grown, long, further; repeats."),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Train nothing; write the table of what is measured.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train every network that a search can come to, and others, as a table to compare searches by."""
    from expand.bench.table.measuring import WAYS, Extent, measure, ways_of
    from expand.bench.table.rows import FILE, begun, read_table, write_table
    from expand.bench.table.show import summary, summary_sheet
    from expand.config.options import build_config
    from expand.report.live_search import SearchView
    from expand.report.terminal import to_table
    from expand.system.errors import UserError

    if unknown := [name for name in way or () if name not in WAYS]:
        raise UserError(f"--way must be one of {', '.join(WAYS)}, got {', '.join(unknown)}.")
    if not collect:
        chosen = chosen_settings(settings, {"search.seeds": seeds})
        built = build_config(config, data=data, targets=target or (), settings=chosen)
        extent = Extent(rounds=rounds, further=further, drawn=drawn or (), sampled=sampled)
        try:
            with interruptible(), SearchView(err) as view:
                measure(built, extent, way or ways_of(extent), folder, view)
        finally:  # also of what was trained before an interruption
            if begun(folder):
                write_table(folder)
    file = write_table(folder) if collect else folder / FILE
    rows, facts = read_table(file)
    if as_json:
        print_json(summary(rows, facts))
    else:
        out.print(to_table(summary_sheet(rows, facts)))


def strategies(
    table: Annotated[
        Path, typer.Argument(help="A table's folder, or its parquet file.", metavar="TABLE")
    ] = Path("results/table-motion"),
    target: Annotated[
        str | None, typer.Option("--target", help="Of the table's targets; by default the smallest.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            help="Multiply-adds that rivals may spend; by default as many as expansion spends, or fewer "
            "where the table has too few networks.",
        ),
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option("--search", help="Replay this way of searching only; repeats.")
    ] = None,
    replays: Annotated[int, typer.Option("--replays", min=2, help="Replays of each.")] = 200,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the figure, and for the figures as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay ways of searching on a table, without training: which finds the best network for its cost?"""
    from expand.bench.table.figure import regret_figure
    from expand.bench.table.lookup import Lookup
    from expand.bench.table.rows import FILE
    from expand.bench.table.show import ahead_sheet, contenders, contenders_sheet
    from expand.bench.table.tournament import replay_all
    from expand.bench.table.verdict import Verdict
    from expand.plots import styled, write_drawn
    from expand.report.terminal import to_table

    lookup = Lookup.read(table / FILE if table.is_dir() else table)
    limit = lookup.target(target)
    with interruptible():
        climbs = replay_all(lookup, contender or (), target=limit, budget=budget, replays=replays)
    verdict = Verdict(lookup, climbs, limit)
    rows = contenders(verdict)
    if folder is not None:
        short = lookup.problem.cost.short(limit)
        write_drawn({f"regret-{short}": styled(lambda: regret_figure(verdict, short))}, folder)
        write_atomic(folder / f"strategies-{short}.json", json.dumps(rows, indent=1) + "\n")
    if as_json:
        print_json(rows)
        return
    out.print(to_table(contenders_sheet(rows)))
    out.print()
    out.print(to_table(ahead_sheet(rows)))
    if (at_length := ahead_sheet(rows, at_length=True)).lines:
        out.print("\nby long trainings:")
        out.print(to_table(at_length))


def rivals(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the runs and results; one that exists is gone on with.")
    ],
    data: DataFolder = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    settings: Settings = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", help="A strategy; repeats. By default expansion, random and hand-scaled."),
    ] = None,
    searches: Annotated[int, typer.Option("--searches", min=1, help="Searches by each strategy.")] = 3,
    epochs: Annotated[
        float, typer.Option("--epochs", min=0, help="Of the full training of what each finds.")
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Search by several strategies, train in full what each finds, and test it on videos no search saw."""
    from dataclasses import asdict

    from expand.bench.rivals import Displays, measure, rivals_sheet
    from expand.config.options import build_config
    from expand.report.live_search import SearchView
    from expand.report.live_training import TrainingView
    from expand.report.terminal import to_table

    built = build_config(config, data=data, targets=target or (), settings=chosen_settings(settings, {}))
    show = Displays(search=lambda: SearchView(err), training=lambda: TrainingView(err))
    with interruptible():
        found = measure(
            built, strategy or ["expansion", "random", "hand-scaled"], searches, epochs, folder, show
        )
    if as_json:
        print_json([asdict(one) for one in found])
        return
    out.print(to_table(rivals_sheet(found)))


def grid(
    data: DataFolder = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seeds: Seeds = 2,
    as_json: AsJson = False,
) -> None:
    """Train small networks on coarse and fine grids of kept frames: what does a smaller cache cost?"""
    from expand.bench.grid import measure_grid
    from expand.config.options import build_config
    from expand.report.live_search import SearchView

    chosen = chosen_settings(settings, {"search.seeds": seeds})
    built = build_config(config, data=data, targets=target or (), settings=chosen)
    with interruptible(), SearchView(err) as view:
        for row in measure_grid(built, view):
            if as_json:
                print_json(row)
                continue
            scores = " ".join(f"{top1:.1%}" for top1 in row["top1"])
            out.print(
                f"{row['fps']:6.2f} fps  {row['bytes'] / 1e6:6.0f} MB  {row['network']:<10}  off by at most "
                f"{row['furthest']:5.1%} of a stride  {row['mean']:6.1%}  ({scores})",
                highlight=False,
                soft_wrap=True,
            )


EXPERIMENT_VERBS: dict[str, Callable[..., None]] = {
    "proxy": proxy,
    "table": table,
    "strategies": strategies,
    "rivals": rivals,
    "grid": grid,
}
