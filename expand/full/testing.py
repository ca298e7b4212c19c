"""`xpand test`: trained weights on the videos of a split, with one view of each or many."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expand.config.data_paths import data_of_run
from expand.config.full import Recipe
from expand.config.options import NO_SETTINGS, build_recipe
from expand.data.base import Source, SplitName
from expand.data.cache import OnProgress
from expand.data.cache_needs import EvenClips
from expand.data.clips import ViewGrid
from expand.data.sources import open_source, segments_of
from expand.full.folder import TrainingFolder
from expand.full.videos import check_frames, open_videos
from expand.system.console import say
from expand.system.cores import cores
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.folders import CONFIG
from expand.system.listing import Listing
from expand.system.units import show_count
from expand.weights.models import Model, find_model
from search_spaces.base import Json

PUBLISHED_GRIDS = {30: (10, 3)}  # what a plain number of views means, where it is not so many clips


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewTest:
    """What a test with some views gave.

    Attributes:
        views: of each video.
        size: side of a view, in pixels.
        macs: multiply-adds of all views of a video.
        scores: see `testing.Tested`.
        per_class: by the class's name; those without a video are left out.
        seconds: the test took.
    """

    views: ViewGrid
    size: int
    macs: int
    videos: int
    scores: dict[str, float]
    per_class: dict[str, float]
    seconds: float

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
        UserError: it is none of these.
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
    """A test that is checked: nothing is decoded yet.

    Attributes:
        model: the network.
        weights: the file.
        recipe: of the data, the device and the batch; where a training's folder is tested, that training's.
        grids: (clips, crops) of each test.
        split: of the videos that are tested.
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
    """Check what the command names.

    Args:
        reference: a model's YAML, a run's or a training's folder, or a published network.
        name: which model of a run.
        views: as for `parse_views`.
        split: of the videos that are tested; only these are decoded.
        weights: instead of those beside the model.
        config: a YAML file with any of the settings; None: a training's own, where its folder is tested.
        data: the folder of the videos, or `synthetic`; None: those of the run's search, where nothing says
            which.
        settings: any by their key, such as `data.flip`.

    Raises:
        UserError: something of it is wrong.
    """
    grids = tuple(parse_views(text) for text in views)
    model = find_model(reference, name)
    chosen = weights or model.weights
    if chosen is None:
        raise UserError(
            f"a test must have weights, but {model.name} has none beside it: give --weights FILE, "
            "or train it with `xpand train`."
        )
    if config is None and TrainingFolder.is_one(Path(reference)):
        config = Path(reference) / CONFIG
    recipe = build_recipe(
        config,
        model.sampling,
        data=data,
        settings=settings,
        jitter=_jitter(model),
        searched=data_of_run(Path(reference)),
    )
    return PlannedTest(model=model, weights=chosen, recipe=recipe, grids=grids, split=split)


def run_test(test: PlannedTest, on_progress: OnProgress) -> tuple[ViewTest, ...]:
    """Test with each of the views, one after the other.

    Raises:
        UserError: the weights or the classes do not fit.
        RunFailed: a score is no number.
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
            raise RunFailed(f"{error}: are {test.weights} those of {model.name}?") from None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            raise RunFailed(f"out of memory: {first_line(error)}: free memory, or raise its limit.") from None
        scores = dict(zip(model.classes, tested.per_class, strict=True))
        results.append(
            ViewTest(
                views=views,
                size=size,
                macs=views.count * _macs(model, size),
                videos=tested.videos,
                scores=tested.scores,
                per_class={name: value for name, value in scores.items() if value == value},
                seconds=time.monotonic() - began,
            )
        )
    return tuple(results)


def matching(outputs: Sequence[str], classes: Sequence[str], data: str) -> tuple[int, ...]:
    """For each class of the data, the network's output: by name, or by place where outputs have numbers.

    Raises:
        UserError: the network does not know a class.
    """
    places = {name: place for place, name in enumerate(outputs)}
    unknown = [name for name in classes if name not in places]
    if not unknown:
        return tuple(places[name] for name in classes)
    if list(outputs) == [str(place) for place in range(len(outputs))] and len(outputs) == len(classes):
        return tuple(range(len(classes)))
    named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
    raise UserError(
        f"the network must know all classes of {data}, but of its {len(outputs)} none is {named}: test it on "
        "the data that it was trained on, or fine-tune it with `xpand train --fine-tune`."
    )


def result_table(results: Sequence[ViewTest]) -> Listing:
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
    """Raises UserError where the network says one thing of a clip, and the data several, or the reverse."""
    gives, has = model.several_labels, segments_of(source) is not None
    if gives != has:
        kinds = ("one label a clip", "several labels a clip")
        raise UserError(
            f"{model.name} gives {kinds[gives]}, but the videos of {source.name} have "
            f"{'several each' if has else 'one each'}: name other data, or train it on these."
        )


def _jitter(model: Model) -> tuple[float, float] | None:
    """Of the training that the weights come from; None: the released one."""
    if "trained" in model.values:
        low, high = model.values["trained"]["jitter"]
        return low, high
    if "measured" in model.values:
        from expand.config.search import DataConfig

        return DataConfig().jitter
    return None


def _macs(model: Model, size: int) -> int:
    from expand.full.batch_parts import complexity_at

    return complexity_at(model, size).macs
