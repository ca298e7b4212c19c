"""The verbs of `xpand bench` that measure how fast xpand is, beside baselines.

Those that measure how good its decisions are stand in experiment_verbs.py.

As in cli.py, heavy modules are only imported by the verbs that need them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expand.command.arguments import AsJson, Settings
from expand.system.console import Console, err, out, print_json
from expand.system.files import write_atomic
from expand.system.signals import interruptible

if TYPE_CHECKING:
    from expand.bench.harness import Figures

_WIDTH = 160  # the largest width of a table, as one with two peers is wider than most terminals

bench = typer.Typer(
    help="Measure xpand itself: how fast it is, and how good its decisions are.", no_args_is_help=True
)

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
