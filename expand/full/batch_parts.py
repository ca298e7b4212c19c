"""Chooses the micro-batches of full trainings and tests on a CPU, by the closed form of their memory.

If the whole batch fits, it is not split, and results are the same as without this module.
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
    """The micro-batch of a training: on a CPU as large as memory allows, elsewhere that of the recipe.

    Args:
        model: the network.
        recipe: the configuration, with the batch and the micro-batch.
        source: the videos, which give the number of classes.
        processes: the processes that share a step.
        device: the device of the training.
        note: called with a line for the user if the micro-batch is smaller than that of the recipe.

    Returns:
        Clips in a forward pass of a process, the same in all; None: all clips of its share of a step.

    Raises:
        UserError: not even two clips fit or, in multigrid training, which cannot split a step, the whole step
            does not fit.
    """
    training = recipe.training
    if device != "cpu":
        return training.micro_batch
    footprint = _footprint(model, len(source.classes), device)
    share = training.batch_size // processes.count
    wanted = min(training.micro_batch or share, share)
    left = processes.broadcast(lambda: _room(recipe, processes))
    part = footprint.largest_part(wanted, left, FEWEST, batch=share)
    if part == wanted:
        return training.micro_batch
    whole, available = show_bytes(footprint.training(share, wanted)), show_bytes(left or 0)
    if part is None:
        raise UserError(
            f"a training must have memory for {FEWEST} clips at a time, which take "
            f"{show_bytes(footprint.training(share, FEWEST))} with {share} in a step, but {available} are "
            "available: lower training.batch_size, or free memory."
        )
    if training.multigrid:
        raise UserError(
            f"--multigrid must have memory for a whole step, which takes {whole}, but {available} are "
            "available: lower training.batch_size, or leave --multigrid out."
        )
    note(
        f"memory    {part} clips at a time, as {wanted} would take {whole} of the {available} available: "
        f"gradients are added up, and BatchNorm normalises {part} clips together"
    )
    return part


def validation_batch(model: Model, recipe: Recipe, processes: Processes, device: str) -> int:
    """Clips in a forward pass of a training's validation: a process's share of a step, if memory allows."""
    batch = max(1, recipe.training.batch_size // processes.count)
    if device != "cpu":
        return batch
    left = processes.broadcast(lambda: _room(recipe, processes))
    return _footprint(model, len(model.classes), device).largest_batch(batch, left)


def views_at_a_time(model: Model, size: int, batch: int, threads: int) -> int:
    """Views in a forward pass of a test on a CPU: `batch`, or fewer, with a message, if memory is short.

    Args:
        model: the network.
        size: side of a view, in pixels.
        batch: the views to try first.
        threads: threads that compute.
    """
    sampling = replace(model.sampling, size=size)
    footprint, left = Footprint.of(complexity_at(model, size), sampling, way_of("cpu")), free_memory(threads)
    most = footprint.largest_batch(batch, left)
    if most < batch:
        say(
            f"memory    {most} view{'s' * (most != 1)} at a time, as {batch} would take "
            f"{show_bytes(footprint.testing(batch))} of the {show_bytes(left or 0)} available"
        )
    return most


def complexity_at(model: Model, size: int) -> Complexity:
    """The complexity of a network on clips of `size` × `size` pixels."""
    return model.space.complexity(model.space.resized(model.architecture, size), len(model.classes))


def _footprint(model: Model, classes: int, device: str) -> Footprint:
    complexity = model.space.complexity(model.architecture, classes)
    return Footprint.of(complexity, model.sampling, way_of(device))


def _room(recipe: Recipe, processes: Processes) -> int | None:
    """The memory that this process may take, its share if several run on the machine; None: unknown."""
    local = processes.local_count
    given = None if local == 1 else worker_memory(local)
    return free_memory(recipe.run.threads or max(1, cores() // local), given=given)
