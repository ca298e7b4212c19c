"""`xpand train`: trains a network in full on videos by a recipe, and resumes an interrupted training."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

from torch import nn

from expand.config.data_paths import check_there, data_of_run, moved
from expand.config.full import Recipe
from expand.config.options import NO_SETTINGS, build_recipe
from expand.config.search import SpaceConfig
from expand.data.base import Source
from expand.data.cache import StageProgress
from expand.data.cache_needs import EvenClips
from expand.data.clips import Augment, ViewGrid
from expand.data.flips import flip_swaps
from expand.data.labelled import Videos, check_recipe
from expand.data.sources import open_source, segments_of
from expand.full.batch_parts import training_part, validation_batch
from expand.full.folder import TrainingFolder
from expand.full.multigrid import multigrid
from expand.full.scores import evaluate
from expand.full.steps import FullCourse, FullTraining, Hooks, Stopped, Validation, learning_rate
from expand.full.videos import check_frames, open_videos
from expand.jobs.job import TrainingProgress
from expand.system.console import own_command
from expand.system.cores import cores
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.escaping import file_name
from expand.system.folders import LOG, check_free, free_folder
from expand.system.logs import log_to
from expand.system.signals import Interrupted, deferred
from expand.training.checkpoints import TrainingState, load_checkpoint, write_checkpoint
from expand.training.devices import choose_device, prepare
from expand.training.losses import Diverged
from expand.training.memory import out_of_memory
from expand.training.prediction import Viewing
from expand.training.processes import Processes
from expand.training.schedule import Schedule, plain
from expand.training.trainer import choose_loss
from expand.weights.models import TRAINED, Model, find_model, network_values, write_values
from expand.weights.reading import check_weights, classifier_of, read_weights
from expand.weights.writing import save_weights
from search_spaces.base import Json

log = logging.getLogger(__name__)

_VALIDATION = ViewGrid()  # the views of each video in a validation: one centre clip, scaled by the recipe


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
class Chosen:
    """The network and the recipe of a training that the command asks for.

    Attributes:
        model: the network, with the classes of its model file.
        recipe: the configuration.
        weights: a file of initial weights; None: random weights.
    """

    model: Model
    recipe: Recipe
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The results of a finished training.

    Attributes:
        folder: the training's folder.
        model: the model file of the trained network.
        scores: the scores of the last validation, by name.
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


def choose(
    reference: str,
    name: str | None,
    *,
    config: Path | None = None,
    data: Path | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    fine_tune: bool = False,
    weights: Path | None = None,
) -> Chosen:
    """Choose the network and the recipe by the command's arguments, and check them.

    Args:
        reference: a model file, the folder of a run, or a published network.
        name: the model's name in a run.
        config: a YAML file with any of the settings.
        data: the folder of the videos, or `synthetic`; None: the videos that `config` names, or else those of
            the run's search.
        settings: values by their keys, such as `data.flip`.
        fine_tune: whether to start from the weights beside the model file.
        weights: a file of weights to start from.

    Raises:
        UserError: an argument is wrong, or the weights are missing or do not fit the network.
    """
    model = find_model(reference, name)
    searched = data_of_run(Path(reference))
    recipe = build_recipe(config, model.sampling, data=data, settings=settings, searched=searched)
    if fine_tune and weights is None and model.weights is None:
        raise UserError(
            f"--fine-tune must have weights to start from, but {model.name} has none: "
            "give --weights FILE, or train from scratch."
        )
    initial = weights or (model.weights if fine_tune else None)
    if initial is not None:
        read_weights(initial, model, classifier="may differ")  # raises UserError now if they do not fit
    return Chosen(model=model, recipe=recipe, weights=initial)


def schedule_of(chosen: Chosen, videos: int, processes: int) -> Schedule:
    """The schedule of a training on `videos` training videos in `processes` processes.

    Raises:
        UserError: the batch size is not a multiple of the processes, or leaves fewer than 2 clips for each.
    """
    training, sampling = chosen.recipe.training, chosen.model.sampling
    if training.batch_size % processes or training.batch_size < 2 * processes:
        raise UserError(
            f"training.batch_size must be a multiple of the {processes} processes, with 2 clips for each at "
            f"least, got {training.batch_size}."
        )
    clips = training.clips_of(videos)
    if not training.multigrid:
        return plain(sampling, batch_size=training.batch_size, clips=clips)
    return multigrid(
        sampling,
        batch_size=training.batch_size,
        clips=clips,
        split_clips=training.split_clips,
        processes=processes,
    )


def listed_schedule(chosen: Chosen) -> Schedule:
    """The schedule by the lists of videos, without decoding any; videos that turn out bad are counted too."""
    videos = len(open_source(chosen.recipe.data).splits["train"])
    return schedule_of(chosen, videos, Processes.of_torchrun().count)


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
    processes, device = Processes.of_torchrun(), choose_device(chosen.recipe.run.device)
    if folder is not None and processes.leads:
        check_free(folder)
    source = _source(chosen, processes)
    with processes.joined(device):
        part = training_part(chosen.model, chosen.recipe, source, processes, device, view.note)
        videos = _decoded(source, chosen.model, chosen.recipe, processes, view)
        schedule = schedule_of(chosen, len(videos.cached.train), processes.count)
        prepare(device, _threads(chosen.recipe, processes), chosen.recipe.training.seed)
        model, network = _initial_network(chosen, videos, view)
        course = _course(model, chosen.recipe, videos, schedule, processes, device, part)
        training = FullTraining(course, network)
        place = processes.broadcast(lambda: _make_folder(folder, chosen, model, videos, training, processes))
        view.note(f"training  {place}")
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
        last = place.history()[-1]
        return Trained(folder=folder, model=folder / TRAINED, scores=scores_of(last), seconds=last["seconds"])
    processes, recipe, model = Processes.of_torchrun(), place.recipe(), place.network()
    recipe = recipe if data is None else moved(recipe, data)
    check_there(recipe)
    device = choose_device(recipe.run.device)
    chosen = Chosen(model=model, recipe=recipe)
    source = _source(chosen, processes)
    with processes.joined(device):
        part = training_part(model, recipe, source, processes, device, view.note)
        videos = _decoded(source, model, recipe, processes, view)
        place.check({"config": recipe.deciding(), "data": videos.card(), "processes": processes.count})
        if data is not None and processes.leads:
            place.move_data(data)
        schedule = schedule_of(chosen, len(videos.cached.train), processes.count)
        prepare(device, _threads(recipe, processes), recipe.training.seed)
        network = _build(model, recipe)
        course = _course(model, recipe, videos, schedule, processes, device, part)
        training = FullTraining(course, network)
        state, remarks = processes.broadcast(lambda: load_checkpoint(place.checkpoints))
        for remark in remarks:
            view.note(remark)
        _check_state(state, model, place.checkpoints)
        training.restore(state)
        return _run(place, model, recipe, course, training, view)


def _source(chosen: Chosen, processes: Processes) -> Source:
    """The listed videos, checked against the recipe before any is decoded.

    Raises:
        UserError: there are no videos, or the recipe does not support their labels.
    """
    training, source = chosen.recipe.training, open_source(chosen.recipe.data)
    schedule_of(chosen, len(source.splits["train"]), processes.count)
    if training.head == "frame":
        check_frames(source)
    if segments_of(source) is not None:
        check_recipe(training)
    return source


def _decoded(
    source: Source, model: Model, recipe: Recipe, processes: Processes, view: TrainingDisplay
) -> Videos:
    """The decoded videos for trainings and validations of the network."""
    return open_videos(
        source,
        recipe.data,
        model.sampling,
        [EvenClips(sampling=model.sampling, clips=_VALIDATION.clips)],
        processes=_threads(recipe, processes),
        on_progress=view.caching,
    )


def _initial_network(chosen: Chosen, videos: Videos, view: TrainingDisplay) -> tuple[Model, nn.Module]:
    """The network for the classes of the videos, with its initial weights, and its model without weights.

    The classifier of a file of weights is kept if the classes are the same, else it is replaced by a random
    one.
    """
    model = _with_classes(chosen.model, videos, chosen.recipe.training.head)
    network = _build(model, chosen.recipe)
    if chosen.weights is None:
        return model, network
    state = read_weights(
        chosen.weights,
        model,
        classifier="may differ",
        on_remark=lambda remark: view.note(f"weights   {remark}"),
    )
    own = network.state_dict()
    replaced = set(classifier_of(model, own))
    if model.classes == chosen.model.classes and replaced <= state.keys():
        view.note(f"weights   {chosen.weights}, with their classifier: the classes are the same")
    else:
        state = {name: value for name, value in state.items() if name not in replaced}
        view.note(
            f"weights   {chosen.weights}; the classifier is replaced by an untrained one for the "
            f"{len(model.classes)} classes of {videos.cached.name}"
        )
    network.load_state_dict({**own, **state})
    return model, network


def _with_classes(model: Model, videos: Videos, head: str) -> Model:
    """The model with the classes of the videos, and with values for a new model file."""
    space = SpaceConfig.model_validate(model.values["space"])
    values = network_values(model.name, space, model.architecture, model.sampling, videos.classes)
    if "factors" in model.values:
        values["factors"] = model.values["factors"]
    if head == "frame":
        values["head"] = "frame"
    if videos.segments is not None:
        values["labels"] = "several"
    values["data"] = videos.card()
    return replace(model, classes=videos.classes, values=values, weights=None)


def _build(model: Model, recipe: Recipe) -> nn.Module:
    return model.build(dropout=recipe.training.dropout, zero_init=recipe.training.zero_init)


def _check_state(state: TrainingState, model: Model, folder: Path) -> None:
    """Raises UserError if a checkpoint is another network's; it names the first tensor that differs."""
    own = ("split_mean", "split_var")  # buffers of multigrid training, which the network itself lacks
    weights = {name: value for name, value in state["model_state"].items() if not name.endswith(own)}
    check_weights(weights, model, folder, None)


def _course(
    model: Model,
    recipe: Recipe,
    videos: Videos,
    schedule: Schedule,
    processes: Processes,
    device: str,
    part: int | None,
) -> FullCourse:
    """The data and the recipe for the training loop; `part` is the micro-batch of a process."""
    swaps = flip_swaps(recipe.data, videos.classes) if recipe.data.flip else None
    training, per_frame = recipe.training, recipe.training.head == "frame"
    targets = videos.labels("train", per_frame=per_frame, swaps=swaps)
    truth = videos.labels("val", per_frame=per_frame)

    batch = validation_batch(model, recipe, processes, device)
    viewing = Viewing(
        sampling=model.sampling,
        views=replace(_VALIDATION, scale=recipe.data.jitter[0]),
        batch_size=batch,
        device=device,
        precision=recipe.run.precision,
    )

    loss = choose_loss("several" if model.several_labels else "one", training.label_smoothing)

    def validate(network: nn.Module) -> dict[str, float]:
        return evaluate(network, videos.cached.val, truth, viewing, processes).scores

    return FullCourse(
        train=videos.cached.train,
        targets=targets,
        sampling=model.sampling,
        augment=Augment(swaps=swaps, jitter=recipe.data.jitter),
        loss=loss,
        recipe=training,
        seed=training.seed,
        schedule=schedule,
        rate=lambda step: learning_rate(training, schedule.at(step)[0], step / schedule.steps),
        device=device,
        precision=recipe.run.precision,
        processes=processes,
        micro_batch=part,
        validate=validate,
    )


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

        def validated(row: Validation) -> None:
            log.info("%s", ", ".join(f"{key} {value:.5g}" for key, value in row.items()))
            view.validated(row)
            if processes.leads:
                place.write_history(training.history)

        hooks = Hooks(
            progress=view.progress,
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
        if processes.leads:
            _finish(place, model, recipe, network, training)
        log.info("finished")
    return Trained(
        folder=place.folder,
        model=place.folder / TRAINED,
        scores=scores_of(training.history[-1]),
        seconds=training.seconds,
    )


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
            "epochs": recipe.training.epochs,
            "jitter": list(recipe.data.jitter),
            "start": place.kept()["start"],
            "validation": scores_of(training.history[-1]),
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


def _threads(recipe: Recipe, processes: Processes) -> int:
    """The threads of this process: the setting, or the cores divided among the processes of the machine."""
    return recipe.run.threads or max(1, cores() // processes.local_count)
