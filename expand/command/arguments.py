"""Arguments and options that several verbs of the command share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from expand.config.command_settings import chosen_settings
from expand.system.errors import UserError

ConfigFile = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of your labelled videos, a list of them, or `synthetic`; by default as --config says, "
        "or synthetic clips.",
    ),
]
SearchedData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of your labelled videos, a list of them, or `synthetic`; by default those of the search "
        "that found the network.",
    ),
]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Lists may name videos anywhere, by absolute paths.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting as key=value, such as training.epochs=5; may be repeated."),
]
WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N|ray",
        help="Local processes that train; 1: this one; ray: a cluster; by default one for each core, at "
        "most 6, and fewer where memory is short.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="host:port of the cluster's head, for --workers ray; by default the one this machine is in.",
    ),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="80M (multiply-adds), 1.5Mparams, 400Kact (activations), 6MB (weights), 'peak 50MB' "
        "(activations in memory at once) or 5ms (with --profile); may be repeated; by default as --config "
        "says.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, help="Trainings per candidate; the mean decides."),
]
SeedRange = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        help="Trainings of each candidate: 3, or 2-8: at least two, and more until the decision is sure; by "
        "default 1, or as the run has.",
        metavar="SEEDS",
    ),
]
Reuse = Annotated[
    list[Path] | None,
    typer.Option(
        "--reuse",
        help="Folder of another run on the same videos: what it has measured is not trained again; may be "
        "repeated.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of where and how trainings run, such as run.time_limit=20 or data.cache.folder=…; "
        "may be repeated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
RunFolder = Annotated[Path, typer.Argument(help="The run's folder.", metavar="RUN")]
ModelReference = Annotated[
    str,
    typer.Argument(
        help="The folder of a run or a training, a model's YAML, or a published network.", metavar="MODEL"
    ),
]
CandidateName = Annotated[
    str | None,
    typer.Option("--candidate", help="Instead of a model, a candidate of a run: round and name, as 2/depth."),
]
ModelName = Annotated[
    str | None, typer.Option("--model", help="Which model of a run; by default its only target.")
]


def worker_options(workers: str | None, ray_address: str | None) -> dict[str, Any]:
    """The settings that --workers and --ray-address stand for; None: not given."""
    if ray_address is not None:
        workers = "ray"
    try:
        count: int | str | None = None if workers is None else int(workers)
    except ValueError:
        count = workers
    return {"run.workers": count, "run.ray.address": ray_address}


def changed_settings(texts: list[str] | None, workers: str | None, ray_address: str | None) -> dict[str, Any]:
    """The settings that change when a run is gone on with: those of --set, --workers and --ray-address.

    Raises:
        UserError: a setting may not change, since measurements or decisions depend on it.
    """
    chosen = chosen_settings(texts, worker_options(workers, ray_address))
    for key in chosen:
        if not key.startswith(("run.", "data.cache.")):
            raise UserError(
                "--set must name a setting of `run` or `data.cache`, which may change when a run goes on, "
                f"got {key}: leave it out, or start another search."
            )
    return chosen
