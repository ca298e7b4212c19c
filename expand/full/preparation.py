"""A full training before its first step: network, recipe, schedule, videos and initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from expand.config.data_paths import data_of_run
from expand.config.full import FullConfig, Recipe
from expand.config.options import NO_SETTINGS, build_recipe
from expand.config.recipes import (
    FEW_STEPS,
    FEW_VIDEOS,
    fitting_batch,
    recipe_by,
    recipe_jitter,
    recipe_values,
)
from expand.config.search import SpaceConfig
from expand.data.base import Source
from expand.data.cache_needs import EvenClips
from expand.data.clips import Augment, ViewGrid
from expand.data.flips import flip_swaps
from expand.data.labelled import Videos, check_recipe
from expand.data.progress import OnProgress
from expand.data.sources import open_source, segments_of
from expand.full.batch_parts import validation_batch
from expand.full.multigrid import multigrid
from expand.full.scores import evaluate
from expand.full.steps import FullCourse, learning_rate
from expand.full.videos import check_frames, open_videos
from expand.run.candidates import chosen_model
from expand.system.cores import cores
from expand.system.errors import UserError
from expand.training.prediction import Viewing
from expand.training.processes import Processes
from expand.training.schedule import Schedule, plain
from expand.training.trainer import choose_loss
from expand.weights.models import Model, network_values
from expand.weights.reading import classifier_of, read_weights

_VALIDATION = ViewGrid()  # the views of each video in a validation: one centre clip, scaled by the recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The network and the recipe of a training that the command asks for.

    Attributes:
        model: the network, with the classes of its model file.
        recipe: the configuration.
        source: the listed videos.
        weights: a file of initial weights; None: random weights.
        remarks: lines for the user: the recipe, why it was chosen, and what of it was changed; none if it was
            not chosen now.
    """

    model: Model
    recipe: Recipe
    source: Source
    weights: Path | None = None
    remarks: tuple[str, ...] = ()


def choose(
    reference: str,
    name: str | None,
    *,
    candidate: str | None = None,
    config: Path | None = None,
    data: Path | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    fine_tune: bool = False,
    weights: Path | None = None,
) -> Chosen:
    """Choose the network and the recipe by the command's arguments, and check them.

    Args:
        reference: a model file, the folder of a run, or a published network.
        name: the model's name in a run; None: its only target, or its only model.
        candidate: a candidate of a run instead, such as `2/depth`.
        config: a YAML file with any of the settings.
        data: the folder of the videos, or `synthetic`; None: the videos that `config` names, or else those of
            the run's search.
        settings: values by their keys, such as `data.flip`.
        fine_tune: whether to start from the weights beside the model file.
        weights: a file of weights to start from.

    Raises:
        UserError: an argument is wrong, or the weights are missing or do not fit the network.
    """
    model = chosen_model(reference, name, candidate)
    searched = data_of_run(Path(reference))
    recipe, source, remarks = _recipe(
        partial(build_recipe, config, model.sampling, data=data, searched=searched), settings
    )
    if fine_tune and weights is None and model.weights is None:
        raise UserError(
            f"--fine-tune must have weights to start from, but {model.name} has none: "
            "give --weights FILE, or train from scratch."
        )
    initial = weights or (model.weights if fine_tune else None)
    if initial is not None:
        read_weights(initial, model, classifier="may differ")  # raises UserError now if they do not fit
    return Chosen(model=model, recipe=recipe, source=source, weights=initial, remarks=remarks)


def _recipe(
    build: Callable[..., Recipe], settings: Mapping[str, Any]
) -> tuple[Recipe, Source, tuple[str, ...]]:
    """The configuration with the values of its recipe, its videos, and lines that say what was chosen.

    Args:
        build: `build_recipe` without its settings and defaults.
        settings: values by their keys.
    """
    asked = build(settings=settings)
    source = open_source(asked.data)
    videos, processes = len(source.splits["train"]), Processes.of_torchrun().count
    name = asked.training.recipe
    why = "as configured"
    if name == "auto":
        name = recipe_by(videos)
        few = "fewer" if videos < FEW_VIDEOS else "not fewer"
        why = f"{videos:,} training videos are {few} than {FEW_VIDEOS:,}"
    chosen = build(
        settings={**settings, "training.recipe": name},
        jitter=recipe_jitter(name),
        defaults=recipe_values(name, videos, processes),
    )
    wanted = chosen.training.batch_size
    batch = fitting_batch(wanted, videos, processes)
    if batch != wanted:
        fitted = chosen.training.model_copy(update={"batch_size": batch})
        chosen = chosen.model_copy(update={"training": fitted})
    values = chosen.training
    line = (
        f"recipe    {name}, {why}: {values.epochs:g} epoch{'s' * (values.epochs != 1)}, {batch} clips in a "
        f"step, rate {values.peak:.3g}, dropout {values.dropout:g}"
    )
    lowered = f"batch     {batch} clips in a step instead of {wanted}, as there are {videos} training videos"
    return chosen, source, (line, lowered) if batch != wanted else (line,)


def step_remarks(training: FullConfig, schedule: Schedule, videos: int) -> tuple[str, ...]:
    """Lines that say how many steps a training has, with a warning if an epoch has too few.

    Args:
        training: the recipe.
        schedule: its steps.
        videos: the number of training videos.
    """
    each = schedule.steps / training.epochs
    said = f"steps     {each:,.4g} an epoch, {schedule.steps:,} in all"
    if videos >= FEW_STEPS * training.batch_size:
        return (said,)
    return (
        said,
        f"warning   {training.batch_size} clips in a step leave an epoch of {videos} videos fewer than "
        f"{FEW_STEPS} steps: lower --batch-size, raise --epochs, or add videos",
    )


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
    return schedule_of(chosen, len(chosen.source.splits["train"]), Processes.of_torchrun().count)


def check_videos(chosen: Chosen, processes: Processes) -> None:
    """Check the listed videos against the recipe, before any is decoded.

    Raises:
        UserError: there are no videos, or the recipe does not support their labels.
    """
    training, source = chosen.recipe.training, chosen.source
    schedule_of(chosen, len(source.splits["train"]), processes.count)
    if training.head == "frame":
        check_frames(source)
    if segments_of(source) is not None:
        check_recipe(training)


def decode_videos(
    source: Source, model: Model, recipe: Recipe, processes: Processes, on_progress: OnProgress
) -> Videos:
    """The decoded videos for trainings and validations of the network."""
    return open_videos(
        source,
        recipe.data,
        model.sampling,
        [EvenClips(sampling=model.sampling, clips=_VALIDATION.clips)],
        processes=threads_of(recipe, processes),
        on_progress=on_progress,
    )


def initial_network(chosen: Chosen, videos: Videos, note: Callable[[str], None]) -> tuple[Model, nn.Module]:
    """The network for the classes of the videos, with its initial weights, and its model without weights.

    The classifier of a file of weights is kept if the classes are the same, else it is replaced by a random
    one. `note` is called with a line that says which weights are used.
    """
    model = _with_classes(chosen.model, videos, chosen.recipe.training.head)
    network = build_network(model, chosen.recipe)
    if chosen.weights is None:
        return model, network
    state = read_weights(
        chosen.weights,
        model,
        classifier="may differ",
        on_remark=lambda remark: note(f"weights   {remark}"),
    )
    own = network.state_dict()
    replaced = set(classifier_of(model, own))
    if model.classes == chosen.model.classes and replaced <= state.keys():
        note(f"weights   {chosen.weights}, with their classifier: the classes are the same")
    else:
        state = {name: value for name, value in state.items() if name not in replaced}
        note(
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


def build_network(model: Model, recipe: Recipe) -> nn.Module:
    return model.build(dropout=recipe.training.dropout, residual_start=recipe.training.residual_start)


def course_of(
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


def threads_of(recipe: Recipe, processes: Processes) -> int:
    """The threads of this process: the setting, or the cores divided among the processes of the machine."""
    return recipe.run.threads or max(1, cores() // processes.local_count)
