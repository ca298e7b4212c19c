"""A search made ready: its configuration checked, its data listed, its videos decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from expand.config.search import Config
from expand.data.base import SEARCHED, Source
from expand.data.cache import OnProgress, open_cache
from expand.data.cache_needs import CacheNeeds, cache_needs
from expand.data.cache_reader import Cached
from expand.data.doctor import Report, examine
from expand.data.labelled import Segments, check_recipe
from expand.data.sources import open_source, segments_of, shown_labels
from expand.run.resources import Machine
from expand.search.forecast import furthest_clips
from expand.search.setup import DataCard, Setup, problem_of
from expand.system.cores import cores
from expand.system.errors import UserError
from expand.training.events import check_tensorboard
from expand.training.objectives import check_labels, load_objective
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """A search that could be made: checked and counted; nothing is decoded or written yet.

    Attributes:
        setup: with the videos as they are listed; which of them are bad is not known yet.
    """

    setup: Setup
    source: Source
    needs: CacheNeeds
    machine: Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A search whose videos are decoded.

    Attributes:
        segments: what each video shows, by its key; None: every video has one label.
    """

    setup: Setup
    machine: Machine
    cached: Cached
    segments: Segments | None = None


def plan(config: Config) -> SearchPlan:
    """Check a configuration and look at the data's lists.

    Raises:
        UserError: the configuration or the data does not allow a search.
    """
    if config.run.tensorboard:
        check_tensorboard()
    problem_of(config).check_targets()  # before the data is looked at
    load_objective(config.search.objective)
    source = open_source(config.data)
    _check_labels(config, source)
    problem_of(config, len(source.classes)).check_targets()
    needs = cache_needs(config.data, possible_clips(config))
    train, val = (source.splits[split] for split in SEARCHED)
    shown = [shown_labels(source, item) for item in val]
    card = _card(source, needs, len(train), shown, checksum="")
    return SearchPlan(
        setup=Setup.of(config, card),
        source=source,
        needs=needs,
        machine=Machine.of(config),
    )


def _check_labels(config: Config, source: Source) -> None:
    """Raises UserError where the search is not for videos with so many labels."""
    segments = segments_of(source)
    check_labels(config.search.objective, source.name, "one" if segments is None else "several")
    if segments is None:
        return
    check_recipe(config.training)
    if not any(segments[item.key] for item in source.splits["val"]):
        raise UserError(
            f"the videos to decide by must have labels, but of {source.name} none has any: name others "
            "(data.val), or leave them out and a share of training is set aside."
        )


def possible_clips(config: Config) -> tuple[ClipSampling, ...]:
    """The most that a search may ask of a video: a step over the last target is the furthest it goes.

    Without a target, the most of two steps.
    """
    problem, step = problem_of(config), config.search.step
    return furthest_clips(problem, step * max(problem.targets or (round(step**2 * problem.start.cost),)))


def examine_data(config: Config, on_progress: OnProgress, *, quick: bool = False) -> Report:
    """Look at the data of a search, and at what its clips need; without a target, at two steps' clips.

    Quick: at the lists alone.

    Raises:
        UserError: the data cannot be listed at all.
    """
    clips = possible_clips(config)
    needs = cache_needs(config.data, clips)
    return examine(config.data, needs, cores(), clips=clips, quick=quick, on_progress=on_progress)


def decode(planned: SearchPlan, on_progress: OnProgress, wanted: DataCard | None = None) -> Prepared:
    """Decode the videos, once for all runs with the same needs.

    Args:
        planned: the search.
        on_progress: called with how far it is.
        wanted: the data of a run that goes on; None: any.

    Raises:
        UserError: too many videos are bad, or they are no longer those that the run was started with.
        RunFailed: the disk is full, or a video was changed meanwhile.
    """
    source, machine, config = planned.source, planned.machine, planned.setup.config
    cached = open_cache(
        source,
        planned.needs,
        config.data,
        processes=machine.decoders,
        on_progress=on_progress,
        wanted=None if wanted is None else wanted.checksum,
    )
    segments, val = segments_of(source), cached.val
    if segments is None:
        shown: list[frozenset[int]] = [frozenset([label]) for label in val.labels.tolist()]
    else:
        shown = [frozenset(one.label for one in segments[key]) for key in val.keys]
    card = _card(source, planned.needs, len(cached.train), shown, checksum=cached.checksum)
    if wanted is not None:  # what the folder is called now decides nothing
        card = replace(card, name=wanted.name)
    if wanted is not None and card != wanted:  # such as another number of bad videos, by another FFmpeg
        raise UserError(
            f"the data must be as the run was started, {_describe(wanted)}, but it is {_describe(card)}: put "
            "the videos back, or start another run."
        )
    setup = replace(planned.setup, data=card)
    return Prepared(setup=setup, machine=machine, cached=cached, segments=segments)


def _card(
    source: Source, needs: CacheNeeds, train: int, val: Sequence[frozenset[int]], *, checksum: str
) -> DataCard:
    """What is known of data with so many videos to train on, and with others that show these classes."""
    counts = Counter(chain.from_iterable(val))
    return DataCard(
        name=source.name,
        checksum=checksum,
        classes=source.classes,
        train=train,
        val=len(val),
        val_counts=tuple(counts[label] for label in range(len(source.classes))),
        short_side=needs.short_side,
        fps=needs.fps,
        labels="one" if segments_of(source) is None else "several",
        unlabelled=sum(not shown for shown in val),
    )


def _describe(data: DataCard) -> str:
    return (
        f"{data.name} with {data.train:,} + {data.val:,} videos of {len(data.classes)} classes "
        f"and checksum {data.checksum[:12]}"
    )
