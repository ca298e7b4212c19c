"""The verbs of `xpand` that take a network: count, export, import, train, test.

As in cli.py, heavy modules are only imported by the verbs that need them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expand.command.arguments import (
    AllowOutside,
    AsJson,
    CandidateName,
    ConfigFile,
    ModelName,
    ModelReference,
    SearchedData,
    Settings,
)
from expand.config.command_settings import chosen_settings
from expand.system.console import err, out, own_command, print_json, say
from expand.system.errors import RunFailed
from expand.system.signals import interruptible

if TYPE_CHECKING:
    from expand.full.train import Trained
    from expand.report.live_training import TrainingView


def count(
    network: Annotated[
        str | None,
        typer.Argument(
            help="x2d, x3d-xs, x3d-s, x3d-m, x3d-l, x3d-xl, the folder of a run or a training, or a model's "
            "YAML.",
            metavar="NETWORK",
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option("--factors", help="Factors of the X3D space, such as bottleneck=2.25,depth=2.2."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Which model of a run; by default all, in a table.")
    ] = None,
    candidate: CandidateName = None,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", help="Predict its latency, too, on a device measured by `xpand profile`."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build the network and count it with fvcore too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count a network by stage and for several views; of a run, or without a name, several in a table."""
    from expand.report.counting import counted, networks_table, published_counts, run_counts, verified

    several = None
    if network is None and factors is None and not as_json:
        several = published_counts(profile)
    elif network is not None and model is None and candidate is None:
        several = run_counts(network, profile)
    if several is not None and as_json:
        print_json({"networks": [one.to_json() for one in several]})
        return
    if several is not None:
        out.print(networks_table(several, verify=verify))
        return
    costs = counted(network, factors, profile, model, candidate)
    check = verified(costs) if verify else None
    if as_json:
        print_json(costs.to_json() | ({"fvcore": check} if check is not None else {}))
        return
    from expand.report.counting import render

    out.print(render(costs, check))
    if check is not None and not check["equal"]:
        raise RunFailed(f"fvcore counts {check['macs']:,} MACs, the closed form {costs.complexity.macs:,}.")


def export(
    network: ModelReference,
    form: Annotated[
        Literal[
            "slowfast",
            "pytorchvideo",
            "mmaction2",
            "x3d-multigrid",
            "safetensors",
            "onnx",
            "torch-export",
        ],
        typer.Option("--format", help="Whose files to write."),
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--out",
            help="The main file, whose suffix may be left out, or a folder for it; nothing is overwritten.",
        ),
    ],
    model: ModelName = None,
    candidate: CandidateName = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights instead of those beside the model.")
    ] = None,
    fresh_weights: Annotated[
        bool, typer.Option("--fresh-weights", help="Where there are no weights, untrained ones from seed 0.")
    ] = False,
    allow_approximate: Annotated[
        bool,
        typer.Option("--allow-approximate", help="Write a network that the target builds with other widths."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a network for another project or runtime, with its weights and a model card."""
    from expand.export.command import export as write_export

    with interruptible():
        done = write_export(
            network,
            model,
            form,
            file,
            candidate=candidate,
            weights=weights,
            fresh=fresh_weights,
            allow_approximate=allow_approximate,
        )
    if as_json:
        print_json(done.to_json())
        return
    for path in done.files:
        out.print(path, highlight=False, soft_wrap=True)
    for remark in (done.weights, *done.remarks):
        say(remark)


def import_(
    file: Annotated[Path, typer.Argument(help="Weights: safetensors, or what torch.save wrote.")],
    network: Annotated[
        str,
        typer.Option("--network", help="What they are of: x3d-s and the like, a model's YAML, or a run."),
    ],
    made: Annotated[Path, typer.Option("--out", help="The model file to write; nothing is overwritten.")],
    model: ModelName = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Names of the classes, one a line.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model of weights from SlowFast, PyTorchVideo, X3D-Multigrid or xpand."""
    from expand.export.importing import import_weights

    with interruptible():
        done = import_weights(file, network, model, made, classes=classes)
    if as_json:
        print_json(asdict(done))
        return
    out.print(done.model, highlight=False, soft_wrap=True)
    out.print(done.weights, highlight=False, soft_wrap=True)
    say(f"{done.classes} classes; the names of the weights were those of {done.layout}")
    for remark in done.remarks:
        say(remark)


def train(
    network: ModelReference,
    model: ModelName = None,
    candidate: CandidateName = None,
    data: SearchedData = None,
    config: ConfigFile = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the training; by default results/MODEL-DATA.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", help="Budget in epochs; by default as the recipe says.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", help="Clips in a step, over all processes; by default as the recipe says."
        ),
    ] = None,
    multigrid: Annotated[
        bool, typer.Option("--multigrid", help="Large batches of coarse clips first: takes less time.")
    ] = False,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Start from the weights beside the model.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Start from these weights, of any known layout.")
    ] = None,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never flip clips: for classes that tell left from right.")
    ] = False,
    allow_outside: AllowOutside = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the training's curves for TensorBoard.")
    ] = False,
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the schedule, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network in full, by a recipe for this number of videos, in one process or torchrun's."""
    from expand.full.preparation import choose, listed_schedule, step_remarks
    from expand.full.train import start
    from expand.report.live_training import schedule_table

    options = {
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.multigrid": multigrid or None,
        "data.flip": False if no_flip else None,
        "data.allow_outside": allow_outside or None,
        "run.tensorboard": tensorboard or None,
    }
    chosen = choose(
        network,
        model,
        candidate=candidate,
        config=config,
        data=data,
        settings=chosen_settings(settings, options),
        fine_tune=fine_tune,
        weights=weights,
    )
    if dry_run:
        schedule = listed_schedule(chosen)
        if as_json:
            recipe = chosen.recipe.training.recipe
            print_json(
                {"recipe": recipe, **asdict(schedule), "steps": schedule.steps, "clips": schedule.clips}
            )
            return
        videos = len(chosen.source.splits["train"])
        for line in (*chosen.remarks, *step_remarks(chosen.recipe.training, schedule, videos)):
            say(line)
        out.print(schedule_table(schedule, chosen.recipe))
        return
    with interruptible(), _training_view() as view:
        done = start(chosen, folder, view)
    _show_trained(done, as_json)


def show_training(folder: Path, as_json: bool) -> None:
    """Print the state of a full training."""
    from expand.full.record import read_training
    from expand.report.terminal import to_table
    from expand.report.training_sheet import history_sheet

    record = read_training(folder)
    if as_json:
        best = None if record.best is None else record.best["epochs"]
        print_json({"finished": record.finished, "history": record.rows, "best_epoch": best})
        return
    epochs = record.recipe.training.epochs
    state = f"{record.done:.4g} of {epochs:g} epochs by the last validation"
    if record.finished and record.kept is not None:
        state = f"finished, with the weights of epoch {record.kept['epochs']:g}"
    out.print(f"{folder}: {state}", highlight=False, soft_wrap=True)
    out.print(to_table(history_sheet(record)))


def resume_training(folder: Path, data: Path | None, as_json: bool) -> None:
    """Resume a full training; `data` is the folder of its videos if they have moved."""
    from expand.full.train import go_on

    with interruptible(), _training_view() as view:
        done = go_on(folder, view, data=data)
    _show_trained(done, as_json)


def _training_view() -> TrainingView:
    from expand.report.live_training import TrainingView
    from expand.training.processes import Processes

    return TrainingView(err, shown=Processes.of_torchrun().leads)


def _show_trained(done: Trained, as_json: bool) -> None:
    """Print the model of a finished training and the commands to go on with, in the leading process only."""
    from expand.training.processes import Processes

    if not Processes.of_torchrun().leads:
        return
    if as_json:
        print_json(done.to_json())
        return
    out.print(done.model, highlight=False, soft_wrap=True)
    folder, xpand = quote(str(done.folder)), own_command()
    say(
        f"\nNext:\n  {xpand} report {folder}\n  {xpand} test {folder} --views 1 --views 10 --views 30\n"
        f"  {xpand} export {folder} --format onnx --out {folder}"
    )


def evaluate(
    network: ModelReference,
    model: ModelName = None,
    data: SearchedData = None,
    views: Annotated[
        list[str] | None,
        typer.Option(
            "--views", help="Views of each video: 1, 10, 30 (10x3), 5x3; may be repeated; by default 10."
        ),
    ] = None,
    split: Annotated[
        Literal["val", "test", "train"],
        typer.Option("--split", help="Which videos: val, or test, which no search ever reads."),
    ] = "val",
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights instead of those beside the model.")
    ] = None,
    config: ConfigFile = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the confusion matrix, and each video's prediction as CSV."),
    ] = None,
    allow_outside: AllowOutside = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Test weights on the videos of a split: top-1, top-5, mean class accuracy, or mAP of several labels."""
    from expand.full.testing import choose_test, result_table, run_test
    from expand.report.live_search import SearchView
    from expand.report.tested import mistake_lines, write_tested

    chosen = choose_test(
        network,
        model,
        views=views or ["10"],
        split=split,
        weights=weights,
        config=config,
        data=data,
        settings=chosen_settings(settings, {"data.allow_outside": allow_outside or None}),
    )
    with interruptible(), SearchView(err) as view:
        results = run_test(chosen, view.caching)
    files = [] if folder is None else [str(path) for path in write_tested(chosen, results, folder)]
    if as_json:
        tests = [result.to_json() for result in results]
        print_json({"model": chosen.model.name, "tests": tests, **({"files": files} if files else {})})
        return
    out.print(result_table(results))
    for line in (*mistake_lines(results), *files):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


NETWORK_VERBS: dict[str, Callable[..., None]] = {
    "count": count,
    "export": export,
    "import": import_,
    "train": train,
    "test": evaluate,
}
