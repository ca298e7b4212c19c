"""The verb `xpand profile`, which measures a device for searches to a latency.

As in cli.py, heavy modules are only imported when the verb is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from expand.command.arguments import AsJson, ConfigFile, Settings
from expand.config.command_settings import chosen_settings
from expand.system.console import err, out, own_command, print_json, say
from expand.system.signals import interruptible


def profile(
    file: Annotated[
        Path, typer.Option("--out", help="The profile, a YAML file; its times are kept beside it.")
    ],
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where networks run.")] = "cpu",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads on the CPU.")] = 1,
    runtime: Annotated[
        Literal["torch", "onnxruntime", "torch-export"], typer.Option("--runtime", help="What runs networks.")
    ] = "torch",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Clips at once.")] = 1,
    classes: Annotated[int, typer.Option("--classes", min=1, help="Classes of the networks.")] = 10,
    networks: Annotated[int, typer.Option("--networks", help="How many networks are timed.")] = 150,
    largest: Annotated[
        float,
        typer.Option("--largest", min=2, help="Multiply-adds of the largest network, over the start's."),
    ] = 30.0,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast a device runs networks of a space, for searches to a target such as 5ms."""
    from expand.config.options import build_config
    from expand.profiling.measure import Wanted
    from expand.profiling.measure import profile as measured
    from expand.report.live_count import CountView
    from expand.report.sheets import profile_sheet
    from expand.report.terminal import to_table

    data = Path("synthetic") if config is None else None  # X3D's own basis, where no file says otherwise
    space = build_config(config, data=data, settings=chosen_settings(settings, {})).space
    wanted = Wanted(
        space=space,
        num_classes=classes,
        runtime=runtime,
        device=device,
        threads=threads,
        batch=batch,
        largest=largest,
    )
    with interruptible(), CountView(err, "networks timed") as view:
        found = measured(wanted, networks, file, view.counted)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(to_table(profile_sheet(found)))
    say(f"{file}: {found.words}, {found.networks} networks")
    say(f"\nNext: {own_command()} search --data DATA --target 5ms --profile {file}")
