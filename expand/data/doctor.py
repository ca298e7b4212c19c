"""Examines a data set before anything is trained: its classes, durations and sizes, bad videos and leaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from expand.config.data import DataConfig
from expand.data import pool
from expand.data.base import SPLITS, BadVideo, Source, SplitName, VideoInfo
from expand.data.cache_needs import CacheNeeds
from expand.data.cache_size import JPEG_SHARE
from expand.data.changed_files import Contents
from expand.data.leaks import (
    Leak,
    TwoLabels,
    all_leaks,
    describe,
    describe_labels,
    listed_leaks,
    notes_of,
    two_labels,
)
from expand.data.progress import OnProgress, StageProgress, silent
from expand.data.sampling import is_looped
from expand.data.shards import Bad, Entry, Storage
from expand.data.sources import open_source, shown_labels
from expand.data.splitting import few_words
from expand.system.units import GB
from search_spaces.base import ClipSampling

_CHUNK = 16
MOST_DECODED = 10_000  # the most videos that are decoded, evenly spread over all
_SIDED = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCount:
    """The number of listed videos of a class in each split."""

    name: str
    train: int
    val: int
    test: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Largest:
    """The largest class of a split; its share is the top-1 accuracy of always guessing it."""

    name: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The distribution of durations, in seconds."""

    low: float
    median: float
    high: float
    total: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """The number of videos with a property, such as `176×144` or `30 fps`."""

    what: str
    videos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """An oddity of a usable video, and how it is handled."""

    key: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TooShort:
    """The number of videos that are shorter than a clip, which are looped."""

    clip: str
    seconds: float
    videos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSize:
    """The estimated size of the cache; plain scenes take a quarter of the bytes given for JPEG."""

    short_side: int
    fps: float
    raw_bytes: int
    jpeg_bytes: int
    storage: Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The findings on a data set. `classes` and `listed` count all videos, the rest only usable ones.

    Attributes:
        looked: number of decoded videos; fewer than listed where there are very many, 0 where only the lists
            were read.
        notes: remarks on how the lists were read.
        rotated: number of videos whose metadata rotate their frames.
        mirrored: number of videos whose metadata mirror their frames.
        remarks: remarks on single videos.
        refused: whether a search would refuse the videos, as too many are bad.
    """

    name: str
    listed: dict[SplitName, int]
    looked: int
    notes: tuple[str, ...]
    usable: dict[SplitName, int]
    classes: tuple[ClassCount, ...]
    largest: dict[SplitName, Largest]
    seconds: Spread | None
    sizes: tuple[Count, ...]
    frame_rates: tuple[Count, ...]
    variable_rate: int
    rotated: int
    mirrored: int
    remarks: tuple[Remark, ...]
    bad: tuple[Bad, ...]
    leaks: tuple[Leak, ...]
    two_labels: tuple[TwoLabels, ...]
    too_short: tuple[TooShort, ...]
    cache: CacheSize | None
    advice: tuple[str, ...]
    refused: bool = False

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        values["bad"] = [bad._asdict() for bad in self.bad]
        return values


def examine(
    config: DataConfig,
    needs: CacheNeeds | None = None,
    processes: int = 1,
    *,
    clips: Sequence[ClipSampling] = (),
    quick: bool = False,
    on_progress: OnProgress = silent,
) -> Report:
    """Examine a data set: read its lists, and decode every video once, or 10,000 of more.

    Args:
        config: names the data.
        needs: what the cache must hold, to estimate its size; None for no estimate.
        processes: number of processes that decode.
        clips: samplings of clips; videos that are too short for one are counted.
        quick: whether to read the lists only.
        on_progress: called with the progress.

    Raises:
        UserError: the data cannot be listed at all.
        RunFailed: a decoding process died.
    """
    source = open_source(config, splits=SPLITS)
    splits = source.splits
    listed = [Entry(split, item) for split in SPLITS for item in splits[split]]
    entries = [] if quick else listed[:: -(-len(listed) // MOST_DECODED)]
    outcomes = _inspect(source, entries, processes, on_progress)
    good = [
        (entry, info) for entry, info in zip(entries, outcomes, strict=True) if isinstance(info, VideoInfo)
    ]
    infos = [info for _, info in good]
    bad = tuple(
        Bad(entry.item.key, entry.split, reason)
        for entry, reason in zip(entries, outcomes, strict=True)
        if isinstance(reason, str)
    )
    leaks, doubles = _doubles(source, quick, on_progress)
    counts = {
        split: Counter(label for item in splits[split] for label in shown_labels(source, item))
        for split in SPLITS
    }
    return Report(
        name=source.name,
        listed={split: len(splits[split]) for split in SPLITS},
        looked=len(entries),
        notes=notes_of(source),
        usable={split: sum(entry.split == split for entry, _ in good) for split in SPLITS},
        classes=tuple(
            ClassCount(name=name, **{split: counts[split][label] for split in SPLITS})
            for label, name in enumerate(source.classes)
        ),
        largest=_largest(source, good),
        seconds=_spread([info.seconds for info in infos]),
        sizes=_counts(f"{info.width}×{info.height}" for info in infos),
        frame_rates=_counts(f"{round(info.fps, 2):g} fps" for info in infos),
        variable_rate=sum(info.variable_rate for info in infos),
        rotated=sum(info.rotation != 0 for info in infos),
        mirrored=sum(info.mirrored for info in infos),
        remarks=tuple(
            Remark(key=entry.item.key, what=remark) for entry, info in good for remark in info.remarks
        ),
        bad=bad,
        leaks=leaks,
        two_labels=doubles,
        too_short=tuple(
            TooShort(
                clip=str(clip),
                seconds=clip.span_seconds,
                videos=sum(is_looped(info.seconds, clip) for info in infos),
            )
            for clip in clips
        ),
        cache=None
        if needs is None or quick
        else _cache_size(good, needs, config, len(listed) / max(1, len(entries))),
        advice=_advice(config, source, len(entries), bad, leaks, doubles),
        refused=len(bad) > config.max_bad_share * len(entries),
    )


def _inspect(
    source: Source, entries: list[Entry], processes: int, on_progress: OnProgress
) -> list[VideoInfo | str]:
    """Return each video's properties, or the reason why it cannot be used."""
    jobs = [(start, tuple(entries[start : start + _CHUNK])) for start in range(0, len(entries), _CHUNK)]
    outcomes: dict[int, list[VideoInfo | str]] = {}
    on_progress(StageProgress(what="decoding videos", done=0, total=len(entries)))
    done = 0
    for start, part in pool.work(_inspect_chunk, source, jobs, processes=processes):
        outcomes[start] = part
        done += len(part)
        on_progress(StageProgress(what="decoding videos", done=done, total=len(entries)))
    return [info for start, _ in jobs for info in outcomes[start]]


def _inspect_chunk(source: Source, job: tuple[int, tuple[Entry, ...]]) -> tuple[int, list[VideoInfo | str]]:
    outcomes: list[VideoInfo | str] = []
    for _, item in job[1]:
        try:
            outcomes.append(source.inspect(item))
        except BadVideo as error:
            outcomes.append(str(error))
    return job[0], outcomes


def _doubles(
    source: Source, quick: bool, on_progress: OnProgress
) -> tuple[tuple[Leak, ...], tuple[TwoLabels, ...]]:
    """Return the videos that are in two splits, and those with two labels."""
    if quick:
        return listed_leaks(source), two_labels(source, {})
    on_progress(StageProgress(what="comparing the splits", done=0, total=1))
    digests = Contents.read(source).readable
    found = all_leaks(source, digests), two_labels(source, digests)
    on_progress(StageProgress(what="comparing the splits", done=1, total=1))
    return found


def _largest(source: Source, good: Sequence[tuple[Entry, VideoInfo]]) -> dict[SplitName, Largest]:
    largest: dict[SplitName, Largest] = {}
    for split in SPLITS:
        items = [entry.item for entry, _ in good if entry.split == split]
        labels = Counter(label for item in items for label in shown_labels(source, item))
        if labels:
            label, count = labels.most_common(1)[0]
            largest[split] = Largest(name=source.classes[label], share=count / len(items))
    return largest


def _spread(seconds: list[float]) -> Spread | None:
    if not seconds:
        return None
    return Spread(low=min(seconds), median=median(seconds), high=max(seconds), total=sum(seconds))


def _counts(values: Any) -> tuple[Count, ...]:
    return tuple(Count(what=what, videos=videos) for what, videos in Counter(values).most_common())


def _cache_size(
    good: Sequence[tuple[Entry, VideoInfo]], needs: CacheNeeds, config: DataConfig, times: float
) -> CacheSize:
    """Estimate the size of the cache of all videos, `times` as many as were examined."""
    raw = round(times * sum(needs.estimate_bytes(entry.split, info) for entry, info in good))
    return CacheSize(
        short_side=needs.short_side,
        fps=needs.fps,
        raw_bytes=raw,
        jpeg_bytes=round(raw * JPEG_SHARE),
        storage="jpeg" if raw > config.cache.limit_gb * GB else "raw",
    )


def _advice(
    config: DataConfig,
    source: Source,
    listed: int,
    bad: tuple[Bad, ...],
    leaks: tuple[Leak, ...],
    doubles: tuple[TwoLabels, ...],
) -> tuple[str, ...]:
    advice = []
    if len(bad) > config.max_bad_share * listed:
        advice.append(
            f"A search will refuse these videos, as {len(bad):,} of {listed:,} are bad, more than "
            f"data.max_bad_share allows ({config.max_bad_share:.1%}): replace them or take them out."
        )
    elif bad:
        advice.append(f"{len(bad):,} of {listed:,} videos are bad and will be left out: replace them.")
    if few := few_words(len(source.splits["val"])):
        advice.append(f"{few}, so that candidates will hardly be told apart: list more (data.val).")
    advice += [f"{line}: take them out of one." for line in describe(leaks, source)]
    advice += [f"{line}: take the wrong one out." for line in describe_labels(doubles)]
    sided = [name for name in source.classes if _SIDED.search(name)]
    unpaired = [name for name in sided if name not in {*config.flip_labels, *config.flip_labels.values()}]
    if config.flip and unpaired:
        advice.append(
            f"{unpaired[0]!r} may become another class when flipped, and data.flip is on: set data.flip: "
            "false, or pair the classes that swap in data.flip_labels."
        )
    return tuple(advice)
