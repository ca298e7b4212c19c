"""The verbs of `xpand bench`, which measure xpand's own speed against baselines.

As in cli.py, heavy modules are only imported by the verbs that need them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expand.command.arguments import AsJson, ConfigFile, DataFolder, Seeds, Settings, TargetOption
from expand.config.command_settings import chosen_settings
from expand.system.console import Console, err, out, print_json
from expand.system.files import write_atomic
from expand.system.signals import interruptible

if TYPE_CHECKING:
    from expand.bench.harness import Figures

_WIDTH = 160  # the largest width of a table, as one with two peers is wider than most terminals

bench = typer.Typer(help="Measure xpand's own speed.", no_args_is_help=True)

File = Annotated[
    Path | None, typer.Option("--out", help="Write the figures to this file as well, as --json prints them.")
]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Timed turns; the fastest counts.")]


def _report(figures: Figures, as_json: bool, file: Path | None) -> None:
    if file is not None:
        write_atomic(file, json.dumps(figures.to_json(), indent=1) + "\n")
    if as_json:
        print_json(figures.to_json())
        return
    from expand.bench.show import conclusion, table

    out.print(table(figures), width=_WIDTH, crop=False)
    for line in conclusion(figures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


@bench.command("step")
def bench_step(
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where to train.")] = "cpu",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="By default one a core.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Clips in a step.")] = 16,
    rounds: Rounds = 5,
    peer_pytorchvideo: Annotated[
        Path | None, typer.Option("--peer-pytorchvideo", help="A checkout, to measure its networks too.")
    ] = None,
    peer_slowfast: Annotated[
        Path | None, typer.Option("--peer-slowfast", help="A checkout; needs that of PyTorchVideo as well.")
    ] = None,
    as_json: AsJson = False,
    file: File = None,
) -> None:
    """Time a training step beside plain modules, over the architectures from X2D to X3D-XS."""
    from expand.bench.step import measure_step, open_peers
    from expand.system.cores import cores

    with interruptible():
        figures = measure_step(
            device=device,
            threads=threads or cores(),
            batch=batch,
            rounds=rounds,
            peers=open_peers(peer_pytorchvideo, peer_slowfast),
        )
    _report(figures, as_json, file)


@bench.command("workers")
def bench_workers(
    what: Annotated[
        Literal["round", "search"],
        typer.Option("--what", help="A round of candidates, or a search by each kind of workers."),
    ] = "round",
    settings: Settings = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Timed turns; by default 2 rounds, or 1 search.")
    ] = None,
    as_json: AsJson = False,
    file: File = None,
) -> None:
    """Time candidates at once beside one after the other, or a search by local workers and on Ray."""
    from dataclasses import replace

    from expand.bench.kinds import measure_kinds
    from expand.bench.workers import measure_workers
    from expand.system.errors import UserError

    if what == "round" and settings:
        raise UserError("--set is for a whole search: give --what search too, or leave it out.")
    with interruptible():
        if what == "round":
            figures = measure_workers(rounds=rounds or 2)
        else:
            figures = measure_kinds(settings or (), rounds=rounds or 1)
    _report(replace(figures, settings={"what": what, **figures.settings}), as_json, file)


@bench.command("data")
def bench_data(
    what: Annotated[
        Literal["batches", "cache", "scale"],
        typer.Option("--what", help="Loading a batch, decoding videos into the cache, or very many videos."),
    ] = "batches",
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of videos to decode; by default some rendered ones.")
    ] = None,
    rounds: Rounds = 5,
    as_json: AsJson = False,
    file: File = None,
) -> None:
    """Time loading a batch beside the step that it is for, a cache beside PyAV alone, or a million videos."""
    from dataclasses import replace

    from expand.bench.data import measure_batches, measure_cache
    from expand.bench.scale import measure_scale

    if what == "scale":
        rows = []
        with interruptible():
            for row in measure_scale(data):
                rows.append(row)
                costs = "  ".join(
                    f"{step} {cost['seconds']:.2f} s {cost['megabytes']:,.0f} MB"
                    for step, cost in row["steps"].items()
                )
                line = f"{row['videos']:>9,} {row['what']}: {costs}"
                (err if as_json else out).print(line, highlight=False, soft_wrap=True)
        if file is not None:
            write_atomic(file, json.dumps({"rows": rows}, indent=1) + "\n")
        if as_json:
            print_json({"rows": rows})
        return
    with interruptible():
        figures = measure_batches(rounds=rounds) if what == "batches" else measure_cache(data, rounds=rounds)
    options = {"what": what, **({"data": "DATA"} if data is not None and what == "cache" else {})}
    _report(replace(figures, settings={**options, **figures.settings}), as_json, file)


@bench.command("count")
def bench_count(rounds: Rounds = 7, as_json: AsJson = False, file: File = None) -> None:
    """Time the closed-form count of an architecture beside torch's counter of operations."""
    from expand.bench.count import measure_count

    _report(measure_count(rounds=rounds), as_json, file)


@bench.command("plan")
def bench_plan(rounds: Rounds = 7, as_json: AsJson = False, file: File = None) -> None:
    """Time the planning of rounds, every axis solved for twice the cost, beside trying every architecture."""
    from expand.bench.count import measure_plan

    _report(measure_plan(rounds=rounds), as_json, file)


@bench.command("start")
def bench_start(rounds: Rounds = 7, as_json: AsJson = False, file: File = None) -> None:
    """Time the start of the command beside that of Python and torch."""
    from expand.bench.start import measure_start

    _report(measure_start(rounds=rounds), as_json, file)


@bench.command("driver")
def bench_driver(rounds: Rounds = 2, as_json: AsJson = False, file: File = None) -> None:
    """Time a search of 1,000 candidates with nothing to train, beside their jobs without a search."""
    from expand.bench.driver import measure_driver

    with interruptible():
        _report(measure_driver(rounds=rounds), as_json, file)


@bench.command("search")
def bench_search(
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="A checkout of xpand to beat; by default this one with plain modules."
        ),
    ] = None,
    settings: Settings = None,
    rounds: Rounds = 1,
    as_json: AsJson = False,
    file: File = None,
) -> None:
    """Time the whole default search beside that of another checkout, or with plain modules."""
    from expand.bench.search import measure_search

    with interruptible():
        _report(measure_search(against, settings or (), rounds=rounds), as_json, file)


@bench.command("exports")
def bench_exports(
    networks: Annotated[
        list[str], typer.Argument(help="Models' YAML files, runs, published networks.", metavar="MODEL…")
    ],
    peer_pytorchvideo: Annotated[
        Path | None, typer.Option("--peer-pytorchvideo", help="A checkout, which builds its exports.")
    ] = None,
    peer_slowfast: Annotated[
        Path | None, typer.Option("--peer-slowfast", help="A checkout; needs that of PyTorchVideo as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare exported networks with what the real projects build from the exported files."""
    from expand.bench.exports import check_exports, open_projects, table
    from expand.system.errors import RunFailed

    with interruptible():
        checks = list(check_exports(networks, open_projects(peer_pytorchvideo, peer_slowfast)))
    if as_json:
        print_json([check.to_json() for check in checks])
    else:
        Console(width=_WIDTH).print(table(checks))
        for check in checks:
            if check.refused is not None:
                out.print(f"\n{check.refused}", highlight=False, markup=False, soft_wrap=True)
    if different := [f"{check.network} ({check.form})" for check in checks if not check.agrees]:
        raise RunFailed(f"other networks than the exported ones were built: {', '.join(different)}.")


@bench.command("proxy")
def bench_proxy(
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


@bench.command("table")
def bench_table(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the table and its runs; one that exists is gone on with.")
    ],
    data: DataFolder = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seeds: Seeds = None,
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
    sampled: Annotated[int, typer.Option("--sampled", min=1, help="Networks trained at length.")] = 24,
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


@bench.command("strategies")
def bench_strategies(
    table: Annotated[
        Path, typer.Argument(help="A table's folder, or its parquet file.", metavar="TABLE")
    ] = Path("results/table-motion"),
    target: Annotated[
        str | None, typer.Option("--target", help="Of the table's targets; by default the smallest.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", help="Multiply-adds that rivals may spend; by default as many as expansion spends."
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
    from expand.bench.table.show import contenders, contenders_sheet, duels_sheet
    from expand.bench.table.tournament import replay_all
    from expand.bench.table.verdict import Verdict
    from expand.plots import styled, write_drawn
    from expand.report.terminal import to_table

    lookup = Lookup.read(table / FILE if table.is_dir() else table)
    limit = lookup.target(target)
    with interruptible():
        climbs = replay_all(lookup, contender or (), target=limit, budget=budget, replays=replays)
    verdict = Verdict(lookup, climbs)
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
    out.print(to_table(duels_sheet(rows)))


@bench.command("rivals")
def bench_rivals(
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


@bench.command("grid")
def bench_grid(
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
