"""How much of a batch a full training or a test takes at a time, by the closed form of what it will hold.

A network whose batch fits is trained and tested as if nothing had been asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from expand.config.full import Recipe
from expand.data.base import Source
from expand.system.console import say
from expand.system.cores import cores
from expand.system.errors import UserError
from expand.system.units import show_bytes
from expand.training.footprint import FEWEST, Footprint, way_of
from expand.training.free_memory import free_memory, worker_memory
from expand.training.processes import Processes
from expand.weights.models import Model
from search_spaces.base import Complexity


def training_part(
    model: Model,
    recipe: Recipe,
    source: Source,
    processes: Processes,
    device: str,
    note: Callable[[str], None],
) -> int | None:
    """Clips that a process takes at a time, the same in all; None: all of its share of a step.

    On a CPU, as many as fit; elsewhere, as many as the recipe says.

    Args:
        model: the network.
        recipe: with its batch.
        source: of the videos.
        processes: that share a step.
        device: where it is trained.
        note: is told where a step is taken in smaller parts than the recipe says.

    Raises:
        UserError: not even two fit, or multigrid, which takes its steps as a whole, does not.
    """
    training = recipe.training
    if device != "cpu":
        return training.micro_batch
    found = _footprint(model, len(source.classes), device)
    share = training.batch_size // processes.count
    wanted = min(training.micro_batch or share, share)
    left = processes.broadcast(lambda: _room(recipe, processes))
    part = found.largest_part(wanted, left, FEWEST, batch=share)
    if part == wanted:
        return training.micro_batch
    whole, there = show_bytes(found.training(share, wanted)), show_bytes(left or 0)
    if part is None:
        raise UserError(
            f"a training must have memory for {FEWEST} clips at a time, which take "
            f"{show_bytes(found.training(share, FEWEST))} with {share} in a step, but it has {there}: lower "
            "training.batch_size, or free memory."
        )
    if training.multigrid:
        raise UserError(
            f"--multigrid must have memory for a whole step, which takes {whole}, but it has {there}: lower "
            "training.batch_size, or leave --multigrid out."
        )
    note(
        f"memory    {part} clips at a time, as {wanted} would take {whole} of the {there} that there are: "
        f"gradients are added up, and BatchNorm sees {part} clips"
    )
    return part


def validation_batch(model: Model, recipe: Recipe, processes: Processes, device: str) -> int:
    """Clips at a time of a training's validation, in each process: a step's, or on a CPU as many as fit."""
    batch = max(1, recipe.training.batch_size // processes.count)
    if device != "cpu":
        return batch
    left = processes.broadcast(lambda: _room(recipe, processes))
    return _footprint(model, len(model.classes), device).largest_batch(batch, left)


def views_at_a_time(model: Model, size: int, batch: int, threads: int) -> int:
    """Views of this size in a forward pass on a CPU: as many as usual, or with a word as many as fit."""
    sampling = replace(model.sampling, size=size)
    found, left = Footprint.of(complexity_at(model, size), sampling, way_of("cpu")), free_memory(threads)
    most = found.largest_batch(batch, left)
    if most < batch:
        say(
            f"memory    {most} view{'s' * (most != 1)} at a time, as {batch} would take "
            f"{show_bytes(found.testing(batch))} of the {show_bytes(left or 0)} that there are"
        )
    return most


def complexity_at(model: Model, size: int) -> Complexity:
    """What a network costs on clips of this size."""
    return model.space.complexity(model.space.resized(model.architecture, size), len(model.classes))


def _footprint(model: Model, classes: int, device: str) -> Footprint:
    complexity = model.space.complexity(model.architecture, classes)
    return Footprint.of(complexity, model.sampling, way_of(device))


def _room(recipe: Recipe, processes: Processes) -> int | None:
    local = processes.local_count
    given = None if local == 1 else worker_memory(local)
    return free_memory(recipe.run.threads or max(1, cores() // local), given=given)
