"""The command `xpand`: parses, calls and prints; no logic.

Exit codes: 0 done, 1 the run failed, 2 the user's mistake, 130 and 143 interrupted. Nothing heavy is
imported before a verb needs it, so that help and counts come at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from expand.errors import RunFailed, UserError

if TYPE_CHECKING:
    from expand.config import Config
    from expand.study import Run

app = typer.Typer(
    name="xpand",
    help="Find efficient video networks by progressive expansion.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Measure xpand's own speed.", no_args_is_help=True)
app.add_typer(bench, name="bench")

out, err = Console(), Console(stderr=True)


def _say(text: str) -> None:
    """A line, or a few, on stderr, as they are: long ones are not broken, so that they can be copied."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


ConfigFile = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of your labelled videos, or `synthetic`.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting as key=value, such as training.epochs=5; may be repeated."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Local processes that train; 1 trains in this one.")
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="Compute target in multiply-adds, such as 80M; may be repeated."),
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="Trainings per candidate; the mean decides.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
RunFolder = Annotated[Path, typer.Argument(help="The run's folder.", metavar="RUN")]


@app.command()
def search(
    data: DataFolder = None,
    target: Targets = None,
    config: ConfigFile = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the run; by default results/NAME of the data.")
    ] = None,
    workers: Workers = None,
    seeds: Seeds = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", help="Training budget of every candidate, in epochs.")
    ] = None,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never flip clips: for classes that tell left from right.")
    ] = False,
    settings: Settings = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the search will cost, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search for networks that meet compute targets; with no argument, on synthetic clips in minutes."""
    from expand.options import build_config

    chosen = list(settings or ())
    chosen += [f"run.workers={workers}"] if workers is not None else []
    chosen += [f"search.seeds={seeds}"] if seeds is not None else []
    chosen += [f"training.epochs={epochs}"] if epochs is not None else []
    chosen += ["data.flip=false"] if no_flip else []
    _search(build_config(config, data=data, targets=target or (), settings=chosen), folder, dry_run, as_json)


def _search(config: Config, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    from expand.driver import decode, drive, plan
    from expand.forecast import Clock
    from expand.show import forecast_json, forecast_text
    from expand.study import Run, check_free, free_folder
    from expand.training.calibrate import calibrate
    from expand.view import SearchView

    if folder is not None:
        check_free(folder)
    planned = plan(config)
    machine = planned.machine
    with _interruptible():
        speed = calibrate(planned.setup, device=machine.device, threads=machine.threads)
        clock = Clock(planned.setup, speed, machine.workers)
        _say(forecast_text(planned.setup, clock, machine.workers, machine.device))
        if dry_run:
            if as_json:
                _print_json(forecast_json(planned.setup, clock))
            return
        folder = folder or free_folder(Path("results"), planned.source.name)
        with SearchView(err) as view:
            prepared = decode(planned, view)
            run = Run.create(folder, config, prepared.setup.data)
            _say(f"run       {run.folder}")
            with run.locked(), _how_to_resume(run):
                drive(run, prepared, speed, view)
    _show_end(run, as_json)


@app.command()
def resume(folder: RunFolder, workers: Workers = None, as_json: AsJson = False) -> None:
    """Go on with a run that was interrupted; nothing finished is trained again."""
    from expand.driver import check_same_data, decode, drive, plan
    from expand.runs import read_run
    from expand.study import Run
    from expand.training.calibrate import calibrate
    from expand.view import SearchView

    run = Run.open(folder)
    with _interruptible(), run.locked(), _how_to_resume(run):
        run.check_config()
        if read_run(folder).finished:
            _show_end(run, as_json)
            return
        config = run.config
        if workers is not None:
            config = config.model_copy(update={"run": config.run.model_copy(update={"workers": workers})})
        planned = plan(config)
        machine = planned.machine
        speed = calibrate(planned.setup, device=machine.device, threads=machine.threads)
        with SearchView(err) as view:
            prepared = decode(planned, view)
            check_same_data(run, prepared)
            drive(run, prepared, speed, view)
    _show_end(run, as_json)


def _show_end(run: Run, as_json: bool) -> None:
    """The trajectory, and what to type next."""
    from expand.runs import read_run
    from expand.show import trajectory_table

    record = read_run(run.folder)
    if as_json:
        _print_json({"run": str(run.folder), "trajectory": record.trajectory})
        return
    out.print(trajectory_table(record.trajectory))
    models = [row["name"] for row in record.trajectory if row["state"] == "done"]
    model = f"{run.folder}/models/{models[-1]}.yaml"
    _say(
        f"\nNext:\n  xpand count {model}\n  xpand table {run.folder} --what rounds\n"
        f"  python -c \"import expand; print(expand.load_model('{model}'))\""
    )


@app.command()
def status(folder: RunFolder, as_json: AsJson = False) -> None:
    """Say how far a run is; also while it runs."""
    from dataclasses import asdict

    from expand.runs import read_run
    from expand.show import rounds_table, status_lines

    record = read_run(folder)
    if as_json:
        values = asdict(record)
        _print_json({key: values[key] for key in ("finished", "problem", "rounds", "trajectory")})
        return
    out.print(status_lines(record), highlight=False)
    out.print(rounds_table(record.rounds))


@app.command()
def table(
    folder: RunFolder,
    what: Annotated[
        Literal["trajectory", "rounds", "trials"],
        typer.Option("--what", help="Which table: accepted states and targets, candidates, or trainings."),
    ] = "trajectory",
    form: Annotated[
        Literal["text", "csv", "markdown", "json", "parquet"],
        typer.Option("--format", help="How to print it; parquet needs --out."),
    ] = "text",
    file: Annotated[Path | None, typer.Option("--out", help="A file instead of stdout.")] = None,
) -> None:
    """Print a table of a run: its trajectory, the candidates of its rounds, or every training."""
    from expand.tables import write_table

    write_table(folder, what, form, file, out)


@app.command()
def count(
    network: Annotated[
        str | None,
        typer.Argument(
            help="x2d, x3d-xs, x3d-s, x3d-m, x3d-l, x3d-xl, or a model's YAML.", metavar="NETWORK"
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option("--factors", help="Factors of the X3D space, such as bottleneck=2.25,depth=2.2."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build the network and count it with fvcore too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count a network by stage and for several views; without a name, all published networks in a table."""
    from expand.counting import counted, parity_table, verified

    if network is None and factors is None and not as_json:
        out.print(parity_table(verify))
        return
    found = counted(network, factors)
    check = verified(found) if verify else None
    if as_json:
        _print_json(found.to_json() | ({"fvcore": check} if check is not None else {}))
        return
    from expand.counting import render

    out.print(render(found, check))
    if check is not None and not check["equal"]:
        raise RunFailed(f"fvcore counts {check['macs']:,} MACs, the closed form {found.complexity.macs:,}.")


@app.command()
def doctor(
    data: Annotated[
        Path | None, typer.Argument(help="Folder of your videos, or `synthetic`.", metavar="DATA")
    ] = None,
    config: ConfigFile = None,
    target: Targets = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Look at a data set before a search: classes, durations, bad files, leaks, what its cache will take."""
    from expand.data.doctor import render
    from expand.driver import examine_data
    from expand.options import build_config
    from expand.view import SearchView

    chosen = build_config(config, data=data, targets=target or (), settings=settings or ())
    with _interruptible(), SearchView(err) as view:
        report = examine_data(chosen, view.caching)
    if as_json:
        _print_json(report.to_json())
        return
    out.print(render(report))


@bench.command("count")
def bench_count(as_json: AsJson = False) -> None:
    """Time the closed-form count of one architecture."""
    from benchmarks.count import measure_count

    _print_bench(measure_count(), as_json)


@bench.command("plan")
def bench_plan(as_json: AsJson = False) -> None:
    """Time the planning of a whole round: every axis solved for twice the cost."""
    from benchmarks.count import measure_plan

    _print_bench(measure_plan(), as_json)


@bench.command("frame")
def bench_frame(as_json: AsJson = False) -> None:
    """Time a training step of X2D with its frame convolved in two dimensions, and in three."""
    from benchmarks.frame import measure_frame

    _print_bench(measure_frame(), as_json)


@bench.command("recipe")
def bench_recipe(
    data: DataFolder = None,
    target: Targets = None,
    config: ConfigFile = None,
    settings: Settings = None,
    grow: Annotated[
        list[str] | None,
        typer.Option("--grow", help="Grow the start along this axis first; may be repeated."),
    ] = None,
    seeds: Seeds = 2,
    as_json: AsJson = False,
) -> None:
    """Train one network by the proxy's recipe and by changes of it: which one lets a search see most?"""
    from benchmarks.recipe import measure_recipes
    from expand.options import build_config
    from expand.view import SearchView

    chosen = [*(settings or ()), f"search.seeds={seeds}"]
    built = build_config(config, data=data, targets=target or (), settings=chosen)
    with _interruptible(), SearchView(err) as view:
        for row in measure_recipes(built, grow or (), view):
            if as_json:
                _print_json(row)
                continue
            scores = " ".join(f"{top1:.1%}" for top1 in row["top1"])
            costs = f"loss {row['loss']:.3f}  {row['seconds']:.0f} s"
            out.print(
                f"{row['mean']:6.1%}  ({scores})  {costs}  {row['change']}", highlight=False, soft_wrap=True
            )


def _print_bench(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(values)
        return
    for key, value in values.items():
        out.print(
            f"{key:<24} {value:,.1f}" if isinstance(value, float) else f"{key:<24} {value}", highlight=False
        )


def _print_json(values: object) -> None:
    sys.stdout.write(json.dumps(values, default=str, indent=1) + "\n")


class Interrupted(BaseException):
    """A signal that ends the command: Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the signals that end a command into an exception, so that workers end with it."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _how_to_resume(run: Run) -> Iterator[None]:
    """Say how to go on when the run is interrupted."""
    try:
        yield
    except Interrupted:
        _say(f"stopped; go on with: xpand resume {run.folder}")
        raise


def main() -> None:
    """The entry point of the command."""
    try:
        app()
    except UserError as error:
        _end(2, f"error: {error}")
    except RunFailed as error:
        _end(1, f"failed: {error}")
    except Interrupted as error:
        _end(128 + error.number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _end(code: int, message: str | None = None) -> None:
    if message is not None:
        err.print(message, style="bold red" if code else None, highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)
