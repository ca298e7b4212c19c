"""`xpand test`: tests trained weights on the videos of a split, with one view of each video or several."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expand.config.data_paths import data_of_run
from expand.config.full import Recipe
from expand.config.options import NO_SETTINGS, build_recipe
from expand.data.base import Source, SplitName
from expand.data.cache_needs import EvenClips
from expand.data.clips import ViewGrid
from expand.data.labelled import Labels, Videos
from expand.data.labels import OneLabel
from expand.data.progress import OnProgress
from expand.data.sources import open_source, segments_of
from expand.full.folder import TrainingFolder
from expand.full.videos import check_frames, open_videos
from expand.run.candidates import chosen_model
from expand.system.console import say
from expand.system.cores import cores
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.folders import CONFIG
from expand.system.listing import Listing
from expand.system.units import show_count
from expand.weights.models import Model
from search_spaces.base import Json

if TYPE_CHECKING:
    from expand.full.mistakes import Predictions
    from expand.full.scores import SplitScores

PUBLISHED_GRIDS = {30: (10, 3)}  # numbers of views that stand for (clips, crops), not for clips of one crop


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewTest:
    """The results of a test with one grid of views.

    Attributes:
        views: the grid of views of each video.
        size: side of a view, in pixels.
        macs: multiply-adds of all views of a video together.
        videos: number of videos in the split.
        scores: see `scores.SplitScores`.
        per_class: see `scores.SplitScores`, by class name; classes that no video shows are left out.
        seconds: wall-clock seconds of the test.
        data: the name of the data.
        predictions: those of each video; None: videos have several labels.
    """

    views: ViewGrid
    size: int
    macs: int
    videos: int
    scores: dict[str, float]
    per_class: dict[str, float]
    seconds: float
    data: str
    predictions: Predictions | None = field(compare=False, repr=False)

    def to_json(self) -> Json:
        return {
            "views": self.views.count,
            "clips": self.views.clips,
            "crops": self.views.crops,
            "size": self.size,
            "macs": self.macs,
            "videos": self.videos,
            "scores": self.scores,
            "per_class": self.per_class,
            "seconds": round(self.seconds, 3),
        }


def parse_views(text: str) -> tuple[int, int]:
    """(clips, crops) from `1`, `10`, `30` (the published 10 × 3) or `10x3`.

    Raises:
        UserError: the text has another form.
    """
    clips, cross, crops = text.lower().replace("×", "x").partition("x")
    if not cross and clips.isdecimal() and int(clips):
        return PUBLISHED_GRIDS.get(int(clips), (int(clips), 1))
    if clips.isdecimal() and int(clips) and crops in ("1", "3"):
        return int(clips), int(crops)
    raise UserError(
        f"--views must be a number of clips such as 1 or 10, 30 for 10x3, or CLIPSxCROPS with 1 or 3 crops, "
        f"got {text!r}."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTest:
    """A test whose arguments are checked; no video has been decoded.

    Attributes:
        model: the network.
        weights: the file of the weights.
        recipe: the settings of the data, the device and the batch; of a full training's folder, its own.
        grids: the grid of views of each test, as (clips, crops).
        split: the split whose videos are tested.
    """

    model: Model
    weights: Path
    recipe: Recipe
    grids: tuple[tuple[int, int], ...]
    split: SplitName


def choose_test(
    reference: str,
    name: str | None,
    *,
    views: Sequence[str],
    split: SplitName = "val",
    weights: Path | None = None,
    config: Path | None = None,
    data: Path | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> PlannedTest:
    """Plan a test from the command's arguments, and check them.

    Args:
        reference: a model file, the folder of a run or a full training, or a published network.
        name: the model's name in a run; None: its only target, or its only model.
        views: the grids of views, as in `parse_views`.
        split: the split whose videos are tested; only these are decoded.
        weights: a file of weights; None: those beside the model file.
        config: a YAML file with any of the settings; None: for the folder of a full training, its own.
        data: the folder of the videos, or `synthetic`; None: the videos that `config` names, or else those of
            the run's search.
        settings: values by their keys, such as `data.flip`.

    Raises:
        UserError: an argument is wrong, or the model has no weights.
    """
    grids = tuple(parse_views(text) for text in views)
    model = chosen_model(reference, name)
    chosen = weights or model.weights
    if chosen is None:
        raise UserError(
            f"a test must have weights, but {model.name} has none: give --weights FILE, "
            "or train it with `xpand train`."
        )
    if config is None and TrainingFolder.is_one(Path(reference)):
        config = Path(reference) / CONFIG
    recipe = build_recipe(
        config,
        model.sampling,
        data=data,
        settings=settings,
        jitter=model.jitter,
        searched=data_of_run(Path(reference)),
    )
    return PlannedTest(model=model, weights=chosen, recipe=recipe, grids=grids, split=split)


def run_test(test: PlannedTest, on_progress: OnProgress) -> tuple[ViewTest, ...]:
    """Run a test with each grid of views, one after the other.

    Args:
        test: the test.
        on_progress: called with the progress of decoding the videos.

    Raises:
        UserError: the weights do not fit the network, or the network lacks classes of the data.
        RunFailed: a probability is not finite, or memory ran out.
    """
    from expand.full.batch_parts import views_at_a_time
    from expand.full.scores import evaluate
    from expand.training.devices import choose_device, place_network, prepare
    from expand.training.free_memory import ran_out
    from expand.training.losses import Diverged
    from expand.training.prediction import Viewing
    from expand.weights.reading import read_weights

    model, recipe = test.model, test.recipe
    source = open_source(recipe.data, splits=(test.split,))
    _check_kind(model, source)
    per_frame = model.head == "frame"
    if per_frame:
        check_frames(source)
    outputs = matching(model.classes, source.classes, source.name)
    known = dict(zip(outputs, source.classes, strict=True))
    names = tuple(known.get(output, name) for output, name in enumerate(model.classes))
    network = model.build()
    network.load_state_dict(read_weights(test.weights, model, on_remark=say))
    device, threads = choose_device(recipe.run.device), recipe.run.threads or cores()
    seen = [EvenClips(sampling=model.sampling, clips=clips) for clips, _ in dict.fromkeys(test.grids)]
    videos = open_videos(
        source, recipe.data, model.sampling, seen, processes=threads, on_progress=on_progress
    )
    truth = videos.labels(test.split, per_frame=per_frame, outputs=outputs, count=len(model.classes))
    prepare(device, threads, seed=0)
    network = place_network(network, device)
    results = []
    for clips, crops in test.grids:
        views = ViewGrid(clips=clips, crops=3 if crops == 3 else 1, scale=recipe.data.jitter[0])
        began = time.monotonic()
        size = views.seen(model.sampling).size
        batch = recipe.training.micro_batch or recipe.training.batch_size
        if device == "cpu":
            batch = views_at_a_time(model, size, batch, threads)
        try:
            viewing = Viewing(
                sampling=model.sampling,
                views=views,
                batch_size=batch,
                device=device,
                precision=recipe.run.precision,
            )
            tested = evaluate(network, videos.cached.splits[test.split], truth, viewing)
        except Diverged as error:
            raise RunFailed(
                f"{error}: check that {test.weights} has the weights of {model.name}, and that their "
                "training did not diverge."
            ) from None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            raise RunFailed(f"out of memory: {first_line(error)}: free memory, or raise its limit.") from None
        scores = dict(zip(names, tested.per_class, strict=True))
        results.append(
            ViewTest(
                views=views,
                size=size,
                macs=views.count * _macs(model, size),
                videos=tested.videos,
                scores=tested.scores,
                per_class={name: value for name, value in scores.items() if value == value},
                seconds=time.monotonic() - began,
                data=source.name,
                predictions=_predictions(videos, test.split, names, truth, tested),
            )
        )
    return tuple(results)


def _predictions(
    videos: Videos, split: SplitName, names: tuple[str, ...], truth: Labels, tested: SplitScores
) -> Predictions | None:
    """The predictions of a test, with the names of the classes; None: videos have several labels."""
    from expand.full.mistakes import Predictions

    if not isinstance(truth, OneLabel) or tested.probabilities is None:
        return None
    return Predictions(
        videos=videos.cached.splits[split].keys,
        classes=names,
        labels=truth.labels,
        probabilities=tested.probabilities,
    )


def matching(outputs: Sequence[str], classes: Sequence[str], data: str) -> tuple[int, ...]:
    """The index of the network's output for each class of the data.

    Classes are matched by name. If the outputs are named `0`, `1`, … and are as many as the classes, class i
    is output i.

    Args:
        outputs: the names of the network's classes, in the order of its outputs.
        classes: the names of the data's classes.
        data: the data's name, for the message.

    Raises:
        UserError: the network has no output for a class of the data.
    """
    indices = {name: index for index, name in enumerate(outputs)}
    unknown = [name for name in classes if name not in indices]
    if not unknown:
        return tuple(indices[name] for name in classes)
    if list(outputs) == [str(index) for index in range(len(outputs))] and len(outputs) == len(classes):
        return tuple(range(len(classes)))
    named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
    raise UserError(
        f"the network must know all classes of {data}, but of its {len(outputs)} none is {named}: test it on "
        "the data that it was trained on, or fine-tune it with `xpand train --fine-tune`."
    )


def result_table(results: Sequence[ViewTest]) -> Listing:
    """A table of tests for a terminal, one row for each grid of views."""
    from expand.full.scores import SCORES

    names = [name for name in SCORES if name in results[0].scores]
    headings = ("views", "of", "MACs a video", *(SCORES[name] for name in names))
    table = Listing(headings, right=headings, spare=["loss", "of", "top-5"], gap=2)
    for result in results:
        shown = (
            f"{result.scores[name]:.3f}" if name == "loss" else f"{result.scores[name]:.1%}" for name in names
        )
        clips, crops = result.views.clips, result.views.crops
        table.row(f"{clips} × {crops}", f"{result.size}²", show_count(result.macs), *shown)
    return table


def _check_kind(model: Model, source: Source) -> None:
    """Raises UserError if the network is for one label a video and the data has several, or the reverse."""
    gives, has = model.several_labels, segments_of(source) is not None
    if gives != has:
        kinds = ("one label for each clip", "several labels for each clip")
        raise UserError(
            f"{model.name} gives {kinds[gives]}, but the videos of {source.name} have "
            f"{'several each' if has else 'one each'}: give other data, or train the network on these."
        )


def _macs(model: Model, size: int) -> int:
    from expand.full.batch_parts import complexity_at

    return complexity_at(model, size).macs
