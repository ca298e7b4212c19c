"""`xpand train`: trains a network in full on videos by a recipe, and resumes an interrupted training."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

from torch import nn

from expand.config.data_paths import check_there, moved
from expand.config.full import FullConfig, Recipe
from expand.data.labelled import Videos
from expand.data.progress import StageProgress
from expand.data.sources import open_source
from expand.full.batch_parts import training_part
from expand.full.best import Validation, best_row
from expand.full.folder import TrainingFolder
from expand.full.preparation import (
    Chosen,
    build_network,
    check_videos,
    course_of,
    decode_videos,
    initial_network,
    schedule_of,
    step_remarks,
    threads_of,
)
from expand.full.steps import FullCourse, FullTraining, Hooks, Stopped
from expand.jobs.job import TrainingProgress
from expand.system.console import own_command
from expand.system.errors import RunFailed, first_line
from expand.system.escaping import file_name
from expand.system.folders import LOG, check_free, free_folder
from expand.system.logs import log_to
from expand.system.signals import Interrupted, deferred
from expand.training.checkpoints import TrainingState, load_checkpoint, write_checkpoint
from expand.training.devices import choose_device, prepare
from expand.training.events import check_tensorboard, open_events
from expand.training.losses import Diverged
from expand.training.memory import out_of_memory
from expand.training.processes import Processes
from expand.training.schedule import Schedule
from expand.weights.models import TRAINED, Model, write_values
from expand.weights.reading import check_weights
from expand.weights.writing import save_weights
from search_spaces.base import Json

log = logging.getLogger(__name__)


class TrainingDisplay(Protocol):
    """Shows the progress of a training. No method may block, since the training waits for it."""

    def caching(self, progress: StageProgress) -> None:
        """Show the progress of decoding the videos."""
        ...

    def note(self, text: str) -> None:
        """Show a line that stays visible."""
        ...

    def begin(self, schedule: Schedule, recipe: Recipe, step: int) -> None:
        """Show that the training starts, after `step` steps that are done already."""
        ...

    def progress(self, progress: TrainingProgress) -> None:
        """Show the progress after a step."""
        ...

    def validated(self, row: Validation) -> None:
        """Show the scores of a validation."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The results of a finished training.

    Attributes:
        folder: the training's folder.
        model: the model file of the trained network.
        scores: the scores of the validation whose weights the model has, by name.
        seconds: the seconds of training in all processes one after another, without the time in between.
    """

    folder: Path
    model: Path
    scores: dict[str, float]
    seconds: float

    def to_json(self) -> Json:
        return {
            "folder": str(self.folder),
            "model": str(self.model),
            "scores": self.scores,
            "seconds": round(self.seconds, 3),
        }


def start(chosen: Chosen, folder: Path | None, view: TrainingDisplay) -> Trained:
    """Train a network from the first step to the last.

    Args:
        chosen: the network and the recipe.
        folder: the new folder of the training; None: results/NAME.
        view: shows the progress.

    Raises:
        UserError: the folder exists already, or the data or the weights do not fit.
        RunFailed: the loss is not finite, or memory ran out.
        Interrupted: a signal stopped the training, which can be resumed.
    """
    _check_events(chosen.recipe)
    processes, device = Processes.of_torchrun(), choose_device(chosen.recipe.run.device)
    if folder is not None and processes.leads:
        check_free(folder)
    check_videos(chosen, processes)
    for line in chosen.remarks:
        view.note(line)
    with processes.joined(device):
        part = training_part(chosen.model, chosen.recipe, chosen.source, processes, device, view.note)
        videos = decode_videos(chosen.source, chosen.model, chosen.recipe, processes, view.caching)
        schedule = schedule_of(chosen, len(videos.cached.train), processes.count)
        prepare(device, threads_of(chosen.recipe, processes), chosen.recipe.training.seed)
        model, network = initial_network(chosen, videos, view.note)
        course = course_of(model, chosen.recipe, videos, schedule, processes, device, part)
        training = FullTraining(course, network)
        place = processes.broadcast(lambda: _make_folder(folder, chosen, model, videos, training, processes))
        view.note(f"training  {place}")
        for line in step_remarks(chosen.recipe.training, schedule, len(videos.cached.train)):
            view.note(line)
        return _run(TrainingFolder(place), model, chosen.recipe, course, training, view)


def go_on(folder: Path, view: TrainingDisplay, *, data: Path | None = None) -> Trained:
    """Resume a training from its last undamaged checkpoint; a finished training is only read.

    Args:
        folder: the training's folder.
        view: shows the progress.
        data: the folder that the videos are in now; None: the same folder as before.

    Raises:
        UserError: another process drives the training, or its settings, its videos or the number of
            processes have changed.
        RunFailed: the loss is not finite, or memory ran out.
        Interrupted: a signal stopped the training, which can be resumed.
    """
    place = TrainingFolder(folder)
    if place.finished:
        kept, seconds = place.trained()["validation"], place.history()[-1]["seconds"]
        return Trained(folder=folder, model=folder / TRAINED, scores=kept, seconds=seconds)
    processes, recipe, model = Processes.of_torchrun(), place.recipe(), place.network()
    recipe = recipe if data is None else moved(recipe, data)
    check_there(recipe)
    _check_events(recipe)
    device = choose_device(recipe.run.device)
    chosen = Chosen(model=model, recipe=recipe, source=open_source(recipe.data))
    check_videos(chosen, processes)
    with processes.joined(device):
        part = training_part(model, recipe, chosen.source, processes, device, view.note)
        videos = decode_videos(chosen.source, model, recipe, processes, view.caching)
        place.check({"config": recipe.deciding(), "data": videos.card(), "processes": processes.count})
        if data is not None and processes.leads:
            place.move_data(data)
        schedule = schedule_of(chosen, len(videos.cached.train), processes.count)
        prepare(device, threads_of(recipe, processes), recipe.training.seed)
        network = build_network(model, recipe)
        course = course_of(model, recipe, videos, schedule, processes, device, part)
        training = FullTraining(course, network)
        state, remarks = processes.broadcast(lambda: load_checkpoint(place.checkpoints))
        for remark in remarks:
            view.note(remark)
        _check_state(state, model, place.checkpoints)
        training.restore(state)
        return _run(place, model, recipe, course, training, view)


def _check_events(recipe: Recipe) -> None:
    """Raises UserError if the recipe asks for event files, and nothing can write them."""
    if recipe.run.tensorboard:
        check_tensorboard()


def _check_state(state: TrainingState, model: Model, folder: Path) -> None:
    """Raises UserError if a checkpoint is another network's; it names the first tensor that differs."""
    own = ("split_mean", "split_var")  # buffers of multigrid training, which the network itself lacks
    weights = {name: value for name, value in state["model_state"].items() if not name.endswith(own)}
    check_weights(weights, model, folder, None)


def _make_folder(
    folder: Path | None,
    chosen: Chosen,
    model: Model,
    videos: Videos,
    training: FullTraining,
    processes: Processes,
) -> Path:
    """Make the training's folder, with a checkpoint of the initial weights; returns its path."""
    name = file_name(f"{model.name}-{videos.cached.name}", "training")
    place = folder or free_folder(Path("results"), name)
    started = {"network": chosen.model.name, "weights": chosen.weights and chosen.weights.name}
    kept = {"data": videos.card(), "processes": processes.count, "start": started}
    with TrainingFolder.made(place, chosen.recipe, model, kept) as made:
        write_checkpoint(made.checkpoints, training.state())
    return place


def _run(
    place: TrainingFolder,
    model: Model,
    recipe: Recipe,
    course: FullCourse,
    training: FullTraining,
    view: TrainingDisplay,
) -> Trained:
    """Run a training that is ready, in its folder, and write the trained model at the end.

    Only the leading process holds the folder's lock and writes files. Signals are noted, and stop the
    training after the current step.
    """
    processes = course.processes
    with ExitStack() as stack:
        if processes.leads:
            stack.enter_context(place.locked())
            stack.enter_context(log_to(place.folder / LOG))
        signals = stack.enter_context(deferred())
        log.info("from step %d of %d on %s", training.step, course.schedule.steps, course.device)
        view.begin(course.schedule, recipe, training.step)
        checkpoints = _Checkpoints(place, minutes=recipe.run.checkpoint_minutes)
        curves = str(place.folder / "tensorboard") if recipe.run.tensorboard and processes.leads else None
        first = course.schedule.clips_before(training.step)
        events = stack.enter_context(
            open_events(curves, lambda done: course.rate(done.step - 1), first=first)
        )

        def progress(done: TrainingProgress) -> None:
            view.progress(done)
            events.step(done)

        def validated(row: Validation) -> None:
            log.info("%s", ", ".join(f"{key} {value:.5g}" for key, value in row.items()))
            view.validated(row)
            shown = {f"val/{name}": value for name, value in scores_of(row).items()}
            clips = course.schedule.clips_before(training.step)
            events.scores({"train/top1": row.get("train_top1"), **shown}, clips)
            if processes.leads:
                place.write_history(training.history)

        hooks = Hooks(
            progress=progress,
            validated=validated,
            save=checkpoints.save,
            due=checkpoints.due,
            stopping=lambda: bool(signals),
            halved=lambda part: view.note(
                f"memory    ran out: {part} clips at a time from step {training.step + 1} on, and BatchNorm "
                f"normalises {part} clips together"
            ),
        )
        try:
            network = training.run(hooks)
        except Diverged as error:
            raise RunFailed(
                f"{error}: lower training.learning_rate, or set training.gradient_clip."
            ) from None
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise RunFailed(
                f"out of memory: {first_line(error)}: set training.micro_batch below "
                f"{course.micro_batch or recipe.training.batch_size}, or lower training.batch_size."
            ) from None
        except Stopped:
            log.info("stopped at step %d", training.step)
            folder = quote(str(place.folder))
            view.note(f"stopped after step {training.step:,}; go on with: {own_command()} resume {folder}")
            raise Interrupted(signals[0] if signals else signal.SIGTERM) from None
        for line in end_remarks(recipe.training, training.history, training.kept):
            view.note(line)
        if processes.leads:
            _finish(place, model, recipe, network, training)
        log.info("finished")
    return Trained(
        folder=place.folder,
        model=place.folder / TRAINED,
        scores=scores_of(training.kept),
        seconds=training.seconds,
    )


def end_remarks(recipe: FullConfig, rows: Sequence[Validation], kept: Validation) -> tuple[str, ...]:
    """Lines that say why a training ended before its last epoch, and of which epoch its weights are.

    Args:
        recipe: the recipe.
        rows: the rows of the validations.
        kept: that of the weights.
    """
    done, said = rows[-1]["epochs"], []
    if done < recipe.epochs:
        said.append(
            f"stopped   after epoch {done:g} of {recipe.epochs:g}: no validation of the last "
            f"{recipe.patience:g} epochs was better than that of epoch {best_row(rows)['epochs']:g}"
        )
    if recipe.keep == "best":
        said.append(f"weights   those of epoch {kept['epochs']:g}, whose validation is the best")
    return tuple(said)


def scores_of(row: Validation) -> dict[str, float]:
    """The scores in a row of history.csv, by name."""
    mark = "val_"
    return {key.removeprefix(mark): value for key, value in row.items() if key.startswith(mark)}


def _finish(
    place: TrainingFolder, model: Model, recipe: Recipe, network: nn.Module, training: FullTraining
) -> None:
    """Write the weights, and after them the model file, so that a model file never lacks its weights."""
    values: dict[str, Any] = model.values | {
        "trained": {
            "epochs": training.history[-1]["epochs"],
            "weights_of_epoch": training.kept["epochs"],
            "jitter": list(recipe.data.jitter),
            "start": place.kept()["start"],
            "validation": scores_of(training.kept),
            "recipe": recipe.training.model_dump(mode="json"),
        }
    }
    path = place.folder / TRAINED
    save_weights(path.with_suffix(".safetensors"), network.state_dict(), replace(model, values=values))
    write_values(path, values)


class _Checkpoints:
    """Writes checkpoints, and decides when the next one is due: `minutes` after the last one."""

    def __init__(self, place: TrainingFolder, *, minutes: float) -> None:
        self._folder, self._every = place.checkpoints, 60 * minutes
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether a checkpoint is due."""
        return time.monotonic() - self._last >= self._every

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint."""
        write_checkpoint(self._folder, state)
        self._last = time.monotonic()
