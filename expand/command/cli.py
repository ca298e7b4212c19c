"""The entry point of the command `xpand`, and its verbs for searches and data.

Exit codes: 0 done, 1 the run failed, 2 the user's mistake, 129, 130 and 143 interrupted. Heavy modules are
only imported by the verbs that need them, so that help and counts are fast.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expand.command.arguments import (
    AllowOutside,
    AsJson,
    Changes,
    ConfigFile,
    DataFolder,
    RayAddress,
    Reuse,
    RunFolder,
    SeedRange,
    Settings,
    TargetOption,
    WorkersOption,
    changed_settings,
    worker_options,
)
from expand.command.bench_verbs import bench
from expand.command.data_verbs import DATA_VERBS
from expand.command.experiment_verbs import EXPERIMENT_VERBS
from expand.command.extension_verb import extend, settle
from expand.command.network_verbs import NETWORK_VERBS, resume_training, show_training
from expand.command.predict_verb import predict
from expand.command.profile_verb import profile
from expand.command.search_end import how_to_resume, show_end
from expand.config.command_settings import chosen_settings
from expand.system.console import err, out, own_command, print_json, say
from expand.system.errors import OtherNetwork, RunFailed, UserError, first_line
from expand.system.escaping import visible_line
from expand.system.files import disk_failed
from expand.system.folders import of_training
from expand.system.signals import Interrupted, interruptible
from expand.training.free_memory import ran_out
from search_spaces.cache_folder import lend_home

if TYPE_CHECKING:
    from expand.config.search import Config

app = typer.Typer(
    name="xpand",
    help="Find efficient video networks by progressive expansion.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        from expand.system.version import VERSION

        out.print(f"xpand {VERSION}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version, and stop.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command()
def search(
    data: DataFolder = None,
    target: TargetOption = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(
            "--at-most", help="Beside the targets, what no network may pass, such as 6MB; may be repeated."
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", help="For targets such as 5ms: the device, measured by `xpand profile`."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            help="Start from x3d-xs or the like, or from a model's YAML and its weights; by default from the "
            "space's own start.",
        ),
    ] = None,
    config: ConfigFile = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the run; by default results/NAME of the data.")
    ] = None,
    workers: WorkersOption = None,
    ray_address: RayAddress = None,
    seeds: SeedRange = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            help="Training budget of every candidate, in epochs; by default 4 from its parent's weights, 10 "
            "from random ones.",
        ),
    ] = None,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never flip clips: for classes that tell left from right.")
    ] = False,
    allow_outside: AllowOutside = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write every training's curves for TensorBoard.")
    ] = False,
    reuse: Reuse = None,
    settings: Settings = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the search will cost, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search for networks that meet compute targets; with no argument, on synthetic clips in minutes."""
    from expand.config.options import build_config

    options = worker_options(workers, ray_address) | {
        "search.seeds": seeds,
        "search.start": start,
        "search.at_most": at_most or None,
        "search.profile": profile,
        "training.epochs": epochs,
        "data.flip": False if no_flip else None,
        "data.allow_outside": allow_outside or None,
        "run.tensorboard": tensorboard or None,
        "run.reuse": reuse or None,
    }
    chosen = chosen_settings(settings, options)
    _search(build_config(config, data=data, targets=target or (), settings=chosen), folder, dry_run, as_json)


def _search(config: Config, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    from expand.command.session import begin, carry_out, look_at_videos
    from expand.report.terminal import forecast_json

    with interruptible():
        session = begin(config, folder)
        if dry_run:
            look_at_videos(session.planned)
            if as_json:
                print_json(forecast_json(session.planned.setup, session.clock, session.foresight))
            return
        run = carry_out(session, guard=how_to_resume)
    show_end(run, as_json)


@app.command()
def resume(
    folder: RunFolder,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The folder that the videos are in now; by default the one that they were in."
        ),
    ] = None,
    workers: WorkersOption = None,
    ray_address: RayAddress = None,
    settings: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a search or a training that was interrupted; nothing finished is trained again."""
    if of_training(folder):
        given = {"--workers": workers, "--ray-address": ray_address, "--set": settings or None}
        for option in (name for name, value in given.items() if value is not None):
            raise UserError(f"{option} is for searches, and this is a training: leave it out.")
        resume_training(folder, data, as_json)
        return
    from expand.command.session import go_on
    from expand.run.study import Run

    run = Run.open(folder)
    changed = changed_settings(settings, workers, ray_address)
    with interruptible():
        go_on(run, changed, guard=how_to_resume, data=data)
    show_end(run, as_json)


app.command()(extend)
app.command()(settle)


@app.command()
def status(folder: RunFolder, as_json: AsJson = False) -> None:
    """Say how far a run or a training is; also while it runs."""
    if of_training(folder):
        show_training(folder, as_json)
        return
    from expand.report.sheets import rounds_sheet
    from expand.report.terminal import at_work_table, to_table
    from expand.run.status import read_status

    state = read_status(folder)
    if as_json:
        print_json(state.to_json())
        return
    out.print(state.lines(), highlight=False, markup=False, soft_wrap=True)
    if state.at_work:
        out.print(at_work_table(state.at_work))
    out.print(to_table(rounds_sheet(state.record)))


@app.command()
def table(
    folder: RunFolder,
    what: Annotated[
        Literal["trajectory", "rounds", "decisions", "stability", "trials"],
        typer.Option(
            "--what",
            help="Which table: accepted states and targets, candidates, decisions, how often a search done "
            "again would find the same, or trainings.",
        ),
    ] = "trajectory",
    form: Annotated[
        Literal["text", "csv", "markdown", "json", "parquet"],
        typer.Option("--format", help="How to print it; parquet needs --out."),
    ] = "text",
    whole: Annotated[
        bool,
        typer.Option("--all", help="With markdown: all columns, as csv, json and parquet have them."),
    ] = False,
    file: Annotated[Path | None, typer.Option("--out", help="A file instead of stdout.")] = None,
) -> None:
    """Print a table of a run: its trajectory, the candidates of its rounds, or every training."""
    from expand.report.tables import write_table

    write_table(folder, what, form, file, out, whole=whole)


@app.command()
def plot(
    runs: Annotated[
        list[Path], typer.Argument(help="The runs' folders; several share a figure.", metavar="RUN…")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the figures; by default RUN/figures, or ./figures."),
    ] = None,
) -> None:
    """Draw a run or a training as PNG, SVG and PDF, finished or not; of several runs, their frontier."""
    from expand.full.folder import TrainingFolder
    from expand.plots import write_figures
    from expand.plots.training import write_training

    to = folder or (runs[0] / "figures" if len(runs) == 1 else Path("figures"))
    training = len(runs) == 1 and TrainingFolder.is_one(runs[0])
    for path in write_training(runs[0], to) if training else write_figures(runs, to):
        out.print(path, highlight=False, soft_wrap=True)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The runs' folders.", metavar="RUN…")],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for the figure; by default ./figures.")
    ] = Path("figures"),
    as_json: AsJson = False,
) -> None:
    """Compare searches that may spend the same: what each found for what it spent, and who is ahead."""
    from dataclasses import asdict

    from expand.plots import draw, write_drawn
    from expand.report.sheets import comparison_sheet
    from expand.report.terminal import comparison_words, to_table
    from expand.run.comparison import compare as compared
    from expand.run.record import read_run

    records = [read_run(run) for run in runs]
    found = compared(records)
    paths = write_drawn({"comparison": draw("comparison", records)}, folder)
    if as_json:
        ahead = [
            {"ahead": one.name, "of": other.name, "probability": chance} for one, other, chance in found.pairs
        ]
        print_json({**asdict(found), "ahead": ahead, "figures": [str(path) for path in paths]})
        return
    out.print(to_table(comparison_sheet(found)))
    err.print(comparison_words(found), highlight=False)
    for path in paths:
        out.print(path, highlight=False, soft_wrap=True)


@app.command()
def report(
    folder: RunFolder,
    file: Annotated[
        Path | None, typer.Option("--out", help="The HTML file; by default report.html in the run's folder.")
    ] = None,
) -> None:
    """Write a run or a training as one HTML page, finished or not: its figures and tables."""
    from expand.full.folder import TrainingFolder
    from expand.report.page import write_report
    from expand.report.training_page import write_training_report

    write = write_training_report if TrainingFolder.is_one(folder) else write_report
    out.print(write(folder, file), highlight=False, soft_wrap=True)


app.command()(profile)
app.command()(predict)
for name, verb in NETWORK_VERBS.items():
    app.command(name=name)(verb)
for name, verb in EXPERIMENT_VERBS.items():
    bench.command(name=name, rich_help_panel="Decisions")(verb)


@app.command()
def doctor(
    data: Annotated[
        Path | None, typer.Argument(help="Folder of your videos, or `synthetic`.", metavar="DATA")
    ] = None,
    config: ConfigFile = None,
    target: TargetOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Read the lists only; open no video.")] = False,
    allow_outside: AllowOutside = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Look at a data set before a search: classes, durations, bad files, leaks. Exit code 1: too many bad."""
    from expand.config.options import build_config
    from expand.report.doctor import render
    from expand.report.live_search import SearchView
    from expand.run.preparation import examine_data

    chosen = build_config(
        config,
        data=data,
        targets=target or (),
        settings=chosen_settings(settings, {"data.allow_outside": allow_outside or None}),
    )
    with interruptible(), SearchView(err) as view:
        report = examine_data(chosen, view.caching, quick=quick)
    if as_json:
        print_json(report.to_json())
    else:
        out.print(render(report))
    if report.refused:
        raise typer.Exit(1)
    if as_json:
        return
    same = [quote(str(data))] if data is not None else []
    same += ["--config", quote(str(config))] if config is not None else []
    same += [f"--target {quote(text)}" for text in target or ()]
    same += [f"--set {quote(text)}" for text in settings or ()]
    say(f"\nLook at its clips before a search:\n  {own_command()} frames {' '.join([*same, '--out clips'])}")


for name, verb in DATA_VERBS.items():
    app.command(name=name)(verb)


def main() -> None:
    """Run the command, and turn exceptions into messages and exit codes."""
    _print_anyway()
    with suppress(OSError):  # code that needs the folder raises its own error
        lend_home(os.environ)
    try:
        app()
    except OtherNetwork as error:
        _end(2, f"error: {error}")
    except UserError as error:
        _end(2, visible_line(f"error: {error}"))
    except RunFailed as error:
        _end(1, visible_line(f"failed: {error}"))
    except Interrupted as error:
        _end(128 + error.number)
    except BrokenPipeError:
        _silence()
        sys.exit(141)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        _end(1, visible_line(f"failed: out of memory: {first_line(error)}: free some, or raise its limit."))
    except OSError as error:
        if not disk_failed(error):
            raise
        _end(1, f"failed: {error.filename or 'a file'} cannot be written: {error.strerror}; make room.")


def _print_anyway() -> None:
    """Print question marks for characters such as × that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")


def _end(code: int, message: str | None = None) -> None:
    try:
        if message is not None:
            err.print(message, style="bold red", highlight=False, soft_wrap=True)
    except OSError:  # stderr is closed
        _silence()
    sys.exit(code)


def _silence() -> None:
    """Discard all further output, including what has not been flushed yet."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
