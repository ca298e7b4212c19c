"""Prepares a search: checks its configuration, lists its data, and decodes its videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from expand.config.search import Config
from expand.data.base import SEARCHED, Source
from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds, cache_needs
from expand.data.cache_reader import Cached
from expand.data.doctor import Report, examine
from expand.data.labelled import Segments, check_recipe
from expand.data.progress import OnProgress, StageProgress
from expand.data.sources import check_given, open_source, segments_of, shown_labels
from expand.run.held_out import held_out, leaks_to
from expand.run.resources import Machine
from expand.run.reuse import Reusable, reusable
from expand.run.start import with_start
from expand.run.study import Run
from expand.search.forecast import furthest_clips
from expand.search.setup import DataCard, FrameGrid, Setup, problem_of
from expand.system.cores import cores
from expand.system.errors import UserError
from expand.training.events import check_tensorboard
from expand.training.objectives import check_labels, load_objective
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """A search whose configuration and lists of videos are checked; no video is decoded yet.

    Attributes:
        setup: the search, counting every listed video, since which of them are bad is not known yet.
        source: the lists of videos.
        needs: the frames that the cache of decoded videos must hold.
        machine: the workers that will train.
    """

    setup: Setup
    source: Source
    needs: CacheNeeds
    machine: Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A search whose videos are decoded.

    Attributes:
        setup: the search, counting the videos that could be decoded.
        machine: the workers that will train.
        caches: the decoded videos, a cache for each of the data's grids.
        segments: the labelled parts of each video by its key; None where every video has one label.
        reusable: what other runs have measured, by the jobs' keys.
        tests: the decoded test videos, a cache for each of the data's grids; empty where the search has none.
    """

    setup: Setup
    machine: Machine
    caches: tuple[Cached, ...]
    segments: Segments | None = None
    reusable: Mapping[str, Reusable] = field(default_factory=dict)
    tests: tuple[Cached, ...] = ()

    def cached(self, clips: ClipSampling) -> Cached:
        """The cache that a network with these clips is trained on."""
        return self.caches[self._grid(clips)]

    def tested(self, clips: ClipSampling) -> Cached:
        """The cache that a network with these clips is tested on; only for a search with test videos."""
        return self.tests[self._grid(clips)]

    def _grid(self, clips: ClipSampling) -> int:
        return self.setup.data.grids.index(self.setup.grid(clips))


def plan(config: Config) -> SearchPlan:
    """Check a configuration and list its videos, without opening a video.

    Raises:
        UserError: the configuration is invalid, or the data cannot be searched on.
    """
    if config.run.tensorboard:
        check_tensorboard()
    config = with_start(config)
    check_given(config.data)
    problem_of(config).check_targets()  # before the data is looked at
    load_objective(config.search.objective)
    for folder in config.run.reuse:
        Run.open(folder)
    source = open_source(config.data)
    _check_labels(config, source)
    problem_of(config, len(source.classes)).check_targets()
    needs = cache_needs(config.data, possible_clips(config))
    train, val = (source.splits[split] for split in SEARCHED)
    shown = [shown_labels(source, item) for item in val]
    card = _card(source, (FrameGrid.of(needs),), len(train), shown, checksum="")
    return SearchPlan(
        setup=Setup.of(config, card),
        source=source,
        needs=needs,
        machine=Machine.of(config),
    )


def _check_labels(config: Config, source: Source) -> None:
    """Check that the objective and the recipe fit videos with one label, or with several, as the source has.

    Raises:
        UserError: they do not fit, or no validation video has a label.
    """
    segments = segments_of(source)
    check_labels(config.search.objective, source.name, "one" if segments is None else "several")
    if segments is None:
        return
    check_recipe(config.training)
    if not any(segments[item.key] for item in source.splits["val"]):
        raise UserError(
            f"the validation videos of {source.name} must have labels, but none has any: name others "
            "(data.val), or leave data.val out, so that a share of the training videos is set aside."
        )


def possible_clips(config: Config) -> tuple[ClipSampling, ...]:
    """Return clips such that no network of the search needs more or larger frames of a video.

    No network costs more than `search.step` times the largest target. Without a target, the cost of the start
    after two steps counts as one.
    """
    problem, step = problem_of(with_start(config)), config.search.step
    return furthest_clips(problem, step * max(problem.targets or (round(step**2 * problem.start.cost),)))


def examine_data(config: Config, on_progress: OnProgress, *, quick: bool = False) -> Report:
    """Examine a search's data: bad videos, leaks between splits, videos too short for its clips.

    Args:
        config: the configuration; its clips are those of `possible_clips`.
        on_progress: called with the progress.
        quick: check the lists alone, without opening a video.

    Raises:
        UserError: the data cannot be listed.
    """
    clips = possible_clips(config)
    needs = cache_needs(config.data, clips)
    return examine(config.data, needs, cores(), clips=clips, quick=quick, on_progress=on_progress)


def decode(planned: SearchPlan, on_progress: OnProgress, wanted: DataCard | None = None) -> Prepared:
    """Decode the videos into the cache, which all runs with equal needs share.

    Args:
        planned: the search.
        on_progress: called with the progress.
        wanted: the data of the run that is resumed, which the videos must equal; None for a new run.

    Raises:
        UserError: too many videos are bad, or they differ from those that the run was started with, or from
            those of a run whose measurements are to be taken over.
        RunFailed: the disk is full, or a video changed while it was decoded.
    """
    source, machine, config = planned.source, planned.machine, planned.setup.config
    grids = (FrameGrid.of(planned.needs),) if wanted is None else wanted.grids
    needs = [CacheNeeds(short_side=grid.short_side, fps=grid.fps) for grid in grids]
    apart = held_out(config, source, wanted)

    def opened(lists: Source, checksum: str | None) -> tuple[Cached, ...]:
        """Open a cache for each of the grids; those that are missing are built."""
        return tuple(
            open_cache(
                lists,
                one,
                config.data,
                processes=machine.decoders,
                on_progress=on_progress,
                wanted=checksum,
            )
            for one in needs
        )

    caches = opened(source, None if wanted is None else wanted.checksum)
    tests: tuple[Cached, ...] = ()
    if apart is not None:
        tests = opened(apart.test, None if wanted is None else wanted.test_checksum)
        for line in leaks_to(apart, [caches[0], tests[0]]):
            on_progress(StageProgress(what="checking the cache", done=1, total=1, note=line))
    segments, val = segments_of(source), caches[0].val
    if segments is None:
        shown: list[frozenset[int]] = [frozenset([label]) for label in val.labels.tolist()]
    else:
        shown = [frozenset(one.label for one in segments[key]) for key in val.keys]
    card = _card(source, grids, len(caches[0].train), shown, checksum=caches[0].checksum)
    if wanted is not None:  # the folder of the videos may have been renamed
        card = replace(card, name=wanted.name, test=wanted.test, test_checksum=wanted.test_checksum)
    if tests:
        card = replace(card, test=len(tests[0]), test_checksum=tests[0].checksum)
    if wanted is not None and card != wanted:  # another version of FFmpeg may find other videos bad
        raise UserError(
            f"the data must be as when the run was started, {_describe(wanted)}, but it is "
            f"{_describe(card)}: put the videos back, or start another run."
        )
    setup = replace(planned.setup, data=card)
    if segments is not None and apart is not None:
        segments = {**segments, **(segments_of(apart.test) or {})}
    return Prepared(
        setup=setup,
        machine=machine,
        caches=caches,
        segments=segments,
        reusable=reusable(config.run.reuse, card),
        tests=tests,
    )


def _card(
    source: Source, grids: tuple[FrameGrid, ...], train: int, val: Sequence[frozenset[int]], *, checksum: str
) -> DataCard:
    """Make the DataCard of a source.

    Args:
        source: the lists of videos.
        grids: the frames of each cache.
        train: number of training videos.
        val: for each validation video, the indices of the classes that it shows.
        checksum: the hash of the videos; empty where they are not decoded yet.
    """
    counts = Counter(chain.from_iterable(val))
    return DataCard(
        name=source.name,
        checksum=checksum,
        classes=source.classes,
        train=train,
        val=len(val),
        val_counts=tuple(counts[label] for label in range(len(source.classes))),
        grids=grids,
        labels="one" if segments_of(source) is None else "several",
        unlabelled=sum(not shown for shown in val),
    )


def _describe(data: DataCard) -> str:
    return (
        f"{data.name} with {data.train:,} + {data.val:,}{f' + {data.test:,}' if data.test else ''} videos of "
        f"{len(data.classes)} classes and checksum {data.checksum[:12]}"
    )
