"""The verbs that go on with a finished search: `extend` and `settle`."""

from __future__ import annotations

from typing import Annotated

import typer

from expand.command.arguments import (
    AsJson,
    Changes,
    RayAddress,
    RunFolder,
    SeedRange,
    TargetOption,
    WorkersOption,
    changed_settings,
)
from expand.command.search_end import how_to_resume, show_end
from expand.system.console import err
from expand.system.signals import interruptible


def extend(
    folder: RunFolder,
    target: TargetOption = None,
    seeds: SeedRange = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            "--confidence",
            help="The probability at which a decision counts as sure; by default as the run has, or 0.9.",
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm",
            help="How often what was found is trained again with fresh seeds; by default as the run has.",
        ),
    ] = None,
    workers: WorkersOption = None,
    ray_address: RayAddress = None,
    settings: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Go on from where a search ended: to a higher target, or with more trainings to surer decisions."""
    from expand.command.session import extend as extend_run
    from expand.run.extension import Extending
    from expand.run.study import Run

    run = Run.open(folder)
    asked = Extending(
        targets=target or (), settings={"seeds": seeds, "confidence": confidence, "confirm": confirm}
    )
    changed = changed_settings(settings, workers, ray_address)
    with interruptible():
        extend_run(run, asked, changed, guard=how_to_resume)
    show_end(run, as_json)


def settle(
    folder: RunFolder,
    trainings: Annotated[
        int, typer.Option("--trainings", help="How many further trainings may be spent on its decisions.")
    ],
    workers: WorkersOption = None,
    ray_address: RayAddress = None,
    settings: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Make a search surer: spend further trainings where the expected regret of its path falls most."""
    from expand.command.settle_session import settle as settle_run
    from expand.run.study import Run

    run = Run.open(folder)
    changed = changed_settings(settings, workers, ray_address)
    with interruptible():
        settled = settle_run(run, trainings, changed, guard=how_to_resume)
    show_end(run, as_json)
    err.print()
    for sentence in settled.sentences(trainings):
        err.print(sentence, highlight=False, markup=False)
