"""Looks at the user's videos before anything is trained: what they are, and what is wrong with them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from expand.config import DataConfig
from expand.data import pool
from expand.data.base import SPLITS, BadVideo, Source, SplitName, VideoInfo
from expand.data.cache import GB, JPEG_SHARE, CacheNeeds, OnProgress, Progress, estimate_bytes, silent
from expand.data.file_source import FileSource
from expand.data.sampling import is_looped
from expand.data.shards import Bad, Entry, Storage
from expand.data.sources import open_source, shown_labels
from expand.names import visible_line
from search_spaces.base import ClipSampling

_CHUNK = 16
_SHOWN = 10  # lines of a long list
_STORAGE: dict[Storage, str] = {"raw": "raw frames", "jpeg": "JPEG"}
_MOST_CLASSES = 30  # more are summed up
_SIDED = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCount:
    """How many videos of a class are listed."""

    name: str
    train: int
    val: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Largest:
    """The largest class of a split; its share is the top-1 accuracy of always guessing it."""

    name: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Of the durations, in seconds."""

    low: float
    median: float
    high: float
    total: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """How many videos have this, such as `176×144` or `30 fps`."""

    what: str
    videos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A video that is in training and in validation; `how` is `same file` or `same bytes`."""

    train: str
    val: str
    how: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TooShort:
    """How many videos are shorter than a clip, and so are looped."""

    clip: str
    seconds: float
    videos: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSize:
    """What the cache will take; JPEG is an estimate: plain scenes take a quarter of it."""

    short_side: int
    fps: float
    raw_bytes: int
    jpeg_bytes: int
    storage: Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found. `classes` and `listed` count all videos; the rest is of those that can be used."""

    name: str
    listed: dict[SplitName, int]
    usable: dict[SplitName, int]
    classes: tuple[ClassCount, ...]
    largest: dict[SplitName, Largest]
    seconds: Spread | None
    sizes: tuple[Count, ...]
    frame_rates: tuple[Count, ...]
    variable_rate: int
    rotated: int
    bad: tuple[Bad, ...]
    leaks: tuple[Leak, ...]
    too_short: tuple[TooShort, ...]
    cache: CacheSize | None
    advice: tuple[str, ...]

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
    on_progress: OnProgress = silent,
) -> Report:
    """Decodes every video once and says what it found; `clips` are those that videos may be too short for.

    Raises:
        UserError: the data cannot be listed at all.
        RunFailed: a process that decodes died.
    """
    source = open_source(config)
    entries = [Entry(split, item) for split in SPLITS for item in source.splits[split]]
    found = _inspect(source, entries, processes, on_progress)
    good = [(entry, info) for entry, info in zip(entries, found, strict=True) if isinstance(info, VideoInfo)]
    infos = [info for _, info in good]
    bad = tuple(
        Bad(entry.item.key, entry.split, info)
        for entry, info in zip(entries, found, strict=True)
        if isinstance(info, str)
    )
    leaks = _leaks(source, on_progress)
    counts = {
        split: Counter(label for item in source.splits[split] for label in shown_labels(source, item))
        for split in SPLITS
    }
    return Report(
        name=source.name,
        listed={split: len(source.splits[split]) for split in SPLITS},
        usable={split: sum(entry.split == split for entry, _ in good) for split in SPLITS},
        classes=tuple(
            ClassCount(name=name, train=counts["train"][label], val=counts["val"][label])
            for label, name in enumerate(source.classes)
        ),
        largest=_largest(source, good),
        seconds=_spread([info.seconds for info in infos]),
        sizes=_counts(f"{info.width}×{info.height}" for info in infos),
        frame_rates=_counts(f"{round(info.fps, 2):g} fps" for info in infos),
        variable_rate=sum(info.variable_rate for info in infos),
        rotated=sum(info.rotation != 0 for info in infos),
        bad=bad,
        leaks=leaks,
        too_short=tuple(
            TooShort(
                clip=str(clip),
                seconds=clip.span_seconds,
                videos=sum(is_looped(info.seconds, clip) for info in infos),
            )
            for clip in clips
        ),
        cache=_cache_size(infos, needs, config),
        advice=_advice(config, source, len(entries), bad, leaks),
    )


def render(report: Report) -> RenderableType:
    """The report for a terminal of 80 columns; for consoles without markup, as names may look like it."""
    parts: list[RenderableType] = [_class_table(report), Text(), _facts(report)]
    if report.bad:
        parts += [Text(), _bad_table(report)]
    if report.leaks:
        lines = [visible_line(f"{leak.train} = {leak.val} ({leak.how})") for leak in report.leaks]
        parts += [Text(), Text("In training and in validation", style="bold"), *_first(lines)]
    if report.advice:
        bullets = Table.grid(padding=(0, 1))
        for line in report.advice:
            bullets.add_row("•", line)
        parts += [Text(), Text("What to do", style="bold"), bullets]
    else:
        parts += [Text(), Text("Nothing wrong was found.", style="green")]
    return Group(*parts)


def _inspect(
    source: Source, entries: list[Entry], processes: int, on_progress: OnProgress
) -> list[VideoInfo | str]:
    """What each video is, or the reason why it cannot be used."""
    jobs = [(start, tuple(entries[start : start + _CHUNK])) for start in range(0, len(entries), _CHUNK)]
    found: dict[int, list[VideoInfo | str]] = {}
    on_progress(Progress(what="decoding videos", done=0, total=len(entries)))
    done = 0
    for start, part in pool.work(_inspect_chunk, source, jobs, processes=processes):
        found[start] = part
        done += len(part)
        on_progress(Progress(what="decoding videos", done=done, total=len(entries)))
    return [info for start, _ in jobs for info in found[start]]


def _inspect_chunk(source: Source, job: tuple[int, tuple[Entry, ...]]) -> tuple[int, list[VideoInfo | str]]:
    found: list[VideoInfo | str] = []
    for _, item in job[1]:
        try:
            found.append(source.inspect(item))
        except BadVideo as error:
            found.append(str(error))
    return job[0], found


def _leaks(source: Source, on_progress: OnProgress) -> tuple[Leak, ...]:
    on_progress(Progress(what="comparing the splits", done=0, total=1))
    train, val = ([item.key for item in source.splits[split]] for split in SPLITS)
    in_train = set(train)
    leaks = [Leak(train=key, val=key, how="same file") for key in val if key in in_train]
    if isinstance(source, FileSource):
        digests = source.digests()
        readable = {
            key
            for split in SPLITS
            for item in source.splits[split]
            if os.path.isfile(source.path(item))  # noqa: PTH113 - False, too, for a name that no file can have
            for key in [item.key]
        }
        holder = {digest: key for digest, key in zip(digests, train, strict=False) if key in readable}
        leaks += [
            Leak(train=holder[digest], val=key, how="same bytes")
            for digest, key in zip(digests[len(train) :], val, strict=True)
            if digest in holder and key not in in_train
        ]
    on_progress(Progress(what="comparing the splits", done=1, total=1))
    return tuple(leaks)


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


def _cache_size(infos: list[VideoInfo], needs: CacheNeeds | None, config: DataConfig) -> CacheSize | None:
    if needs is None:
        return None
    raw = estimate_bytes(infos, needs)
    return CacheSize(
        short_side=needs.short_side,
        fps=needs.fps,
        raw_bytes=raw,
        jpeg_bytes=round(raw * JPEG_SHARE),
        storage="jpeg" if raw > config.cache.limit_gb * GB else "raw",
    )


def _advice(
    config: DataConfig, source: Source, listed: int, bad: tuple[Bad, ...], leaks: tuple[Leak, ...]
) -> tuple[str, ...]:
    advice = []
    if len(bad) > config.max_bad_share * listed:
        advice.append(
            f"{len(bad):,} of {listed:,} videos are bad, more than data.max_bad_share allows "
            f"({config.max_bad_share:.1%}): replace them or take them out."
        )
    elif bad:
        advice.append(f"{len(bad):,} of {listed:,} videos are bad and will be left out: replace them.")
    if leaks:
        one = len(leaks) == 1
        advice.append(
            f"{len(leaks):,} validation {'video is' if one else 'videos are'} in training too, so accuracy "
            f"will look too high: take {'it' if one else 'them'} out of one."
        )
    sided = [name for name in source.classes if _SIDED.search(name)]
    unpaired = [name for name in sided if name not in {*config.flip_labels, *config.flip_labels.values()}]
    if config.flip and unpaired:
        advice.append(
            f"{unpaired[0]!r} may become another class when flipped, and data.flip is on: set data.flip: "
            "false, or pair the classes that swap in data.flip_labels."
        )
    return tuple(advice)


def _class_table(report: Report) -> Table:
    table = Table(
        title=f"{report.name}: {len(report.classes):,} classes", title_justify="left", title_style="bold"
    )
    table.add_column("class", overflow="fold")
    table.add_column("train", justify="right")
    table.add_column("val", justify="right")
    by_size = sorted(report.classes, key=lambda count: (-count.train, count.name))
    rows = list(report.classes)
    if len(rows) > _MOST_CLASSES:
        rows = by_size[:_SHOWN] + by_size[-_SHOWN:]
    for place, row in enumerate(rows):
        table.add_row(visible_line(row.name), f"{row.train:,}", f"{row.val:,}")
        if len(rows) < len(report.classes) and place == _SHOWN - 1:
            table.add_row(f"… {len(report.classes) - len(rows):,} classes between …", "", "")
    table.add_section()
    table.add_row("all", f"{report.listed['train']:,}", f"{report.listed['val']:,}")
    return table


def _facts(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    usable = sum(report.usable.values())
    table.add_row("usable", f"{usable:,} of {sum(report.listed.values()):,} videos")
    for split, largest in report.largest.items():
        table.add_row(f"guessing, {split}", f"{largest.share:.1%} (always {visible_line(largest.name)})")
    if report.seconds:
        spread = report.seconds
        table.add_row(
            "duration",
            f"{spread.low:.2f} to {spread.high:.2f} s, median {spread.median:.2f} s, "
            f"together {spread.total / 3600:.2f} h",
        )
    table.add_row("size", _list(report.sizes))
    table.add_row("frame rate", _list(report.frame_rates))
    table.add_row("variable rate", f"{report.variable_rate:,}")
    table.add_row("rotated", f"{report.rotated:,}")
    for short in report.too_short:
        table.add_row(
            f"shorter than {short.clip}", f"{short.videos:,} (clip of {short.seconds:.2f} s; looped)"
        )
    if report.cache:
        cache = report.cache
        table.add_row(
            "cache",
            f"{cache.raw_bytes / GB:.2f} GB raw, about {cache.jpeg_bytes / GB:.2f} GB JPEG; "
            f"kept as {_STORAGE[cache.storage]} (short side {cache.short_side}, {cache.fps:g} fps)",
        )
    return table


def _list(counts: Sequence[Count], most: int = 5) -> str:
    shown = ", ".join(f"{count.what} ({count.videos:,})" for count in counts[:most])
    rest = sum(count.videos for count in counts[most:])
    return shown + (f", {len(counts) - most:,} more kinds ({rest:,})" if rest else "")


def _bad_table(report: Report) -> Table:
    table = Table(title=f"{len(report.bad):,} bad videos", title_justify="left", title_style="bold")
    table.add_column("video", overflow="fold")
    table.add_column("split")
    table.add_column("reason", overflow="fold")
    for bad in report.bad[:_SHOWN]:
        table.add_row(visible_line(bad.key), bad.split, bad.reason)
    if len(report.bad) > _SHOWN:
        reasons = Counter(bad.reason.partition(":")[0] for bad in report.bad[_SHOWN:])
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        table.add_row(f"… {len(report.bad) - _SHOWN:,} more", "", listed)
    return table


def _first(lines: Sequence[str]) -> list[Text]:
    more = [Text(f"… {len(lines) - _SHOWN:,} more")] if len(lines) > _SHOWN else []
    return [*(Text(line) for line in lines[:_SHOWN]), *more]
