"""Videos that are there twice: in two splits, so that scores look too high, or with two labels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from expand.data.base import SPLITS, Item, Source, SplitName
from expand.data.file_source import FileSource

How = Literal["same file", "same group", "same bytes"]

# UCF101's file names: videos of one group are cut from one long video.
_GROUP = re.compile(r"(.*_g\d+)_c\d+\.[^./]+")
_NAMED = 3

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A video of a later split that shows what one of an earlier split shows.

    Attributes:
        earlier, later: keys of the two videos.
        splits: their splits, in that order.
        how: `same file`, which includes overlapping parts of one file; `same group` of UCF101's file names;
            `same bytes` in two files.
    """

    earlier: str
    later: str
    splits: tuple[SplitName, SplitName]
    how: How


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoLabels:
    """Two videos of the same bytes, or one in two splits, with different labels, of which one must be wrong.

    Attributes:
        videos: their keys.
        labels: what each shows: the name of its class, or of several.
    """

    videos: tuple[str, str]
    labels: tuple[str, str]

    @property
    def words(self) -> str:
        """The two in words, such as `run/a.mp4 (run) = walk/b.mp4 (walk)`."""
        one, other = (f"{key} ({label})" for key, label in zip(self.videos, self.labels, strict=True))
        return f"{one} = {other}"


def group_of(file: str) -> str | None:
    """Return the UCF101 group in a file name; None where the name has none."""
    match = _GROUP.fullmatch(file)
    return match[1] if match else None


def listed_leaks(source: Source) -> tuple[Leak, ...]:
    """Return the leaks that can be seen from the lists alone: files, overlapping parts, and groups."""
    files: dict[str, list[tuple[SplitName, Item]]] = defaultdict(list)
    groups: dict[str, list[tuple[SplitName, Item]]] = defaultdict(list)
    for split in SPLITS:
        for item in source.splits[split]:
            files[item.file].append((split, item))
            if group := group_of(item.file):
                groups[group].append((split, item))
    leaks = _Leaks()
    for same in files.values():
        _add_overlaps(leaks, same)
    for same in groups.values():
        leaks.add_first(same, "same group")
    return leaks.all


def all_leaks(source: Source, digests: Mapping[str, Value]) -> tuple[Leak, ...]:
    """Return `listed_leaks`, and videos of the same bytes; `digests` are readable videos' hashes by key."""
    leaks = _Leaks()
    for leak in listed_leaks(source):
        leaks.add(leak)
    same: dict[Value, list[tuple[SplitName, Item]]] = defaultdict(list)
    for split in SPLITS:
        for item in source.splits[split]:
            if item.cut is None and item.key in digests:  # parts of one file are compared by their times
                same[digests[item.key]].append((split, item))
    for items in same.values():
        leaks.add_first(items, "same bytes")
    return leaks.all


def two_labels(source: Source, digests: Mapping[str, Value]) -> tuple[TwoLabels, ...]:
    """Return the videos that have other labels than an earlier one of the same bytes.

    Args:
        source: the videos.
        digests: readable videos' hashes by key; without any, the lists alone are compared.
    """
    first: dict[Value | str, Item] = {}
    found = []
    for split in SPLITS:
        for item in source.splits[split]:
            if item.cut is not None:  # other parts of one file may show something else
                continue
            before = first.setdefault(digests.get(item.key, item.key), item)
            labels = (_labels(source, before), _labels(source, item))
            if labels[0] != labels[1]:
                found.append(TwoLabels(videos=(before.key, item.key), labels=labels))
    return tuple(found)


def _labels(source: Source, item: Item) -> str:
    """Return the names of the classes that a video shows."""
    segments = source.segments if isinstance(source, FileSource) else None
    shown = [item.label] if segments is None else sorted({one.label for one in segments[item.key]})
    return ", ".join(source.classes[label] for label in shown) or "nothing"


def describe_labels(found: Sequence[TwoLabels]) -> tuple[str, ...]:
    """Explain to a user that videos have two labels, in a line, if any have."""
    if not found:
        return ()
    examples = ", ".join(one.words for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    videos = "1 video has two labels" if len(found) == 1 else f"{len(found):,} videos have two labels"
    return (f"{videos}, of which one must be wrong: {examples}{more}",)


def describe(leaks: Sequence[Leak], source: Source) -> tuple[str, ...]:
    """Explain the leaks to a user, a line for each split that has some."""
    lines = []
    for split in SPLITS[1:]:
        own = [leak for leak in leaks if leak.splits[1] == split]
        if own:
            examples = ", ".join(f"{leak.later} = {leak.earlier} ({leak.how})" for leak in own[:_NAMED])
            more = f" and {len(own) - _NAMED:,} more" if len(own) > _NAMED else ""
            lines.append(
                f"{len(own):,} of {len(source.splits[split]):,} videos of {split} are in an earlier split "
                f"too, so accuracy on it will look too high: {examples}{more}"
            )
    return tuple(lines)


def list_remarks(source: Source) -> tuple[str, ...]:
    """Return remarks for the user on the lists, before any video is opened, a line each."""
    return (
        *notes_of(source),
        *describe(listed_leaks(source), source),
        *describe_labels(two_labels(source, {})),
    )


def notes_of(source: Source) -> tuple[str, ...]:
    """Return the source's remarks on how its lists were read."""
    return source.notes if isinstance(source, FileSource) else ()


class _Leaks:
    """Collects leaks, and keeps the first for each video of a later split."""

    def __init__(self) -> None:
        self._leaks: dict[tuple[SplitName, str], Leak] = {}

    def add(self, leak: Leak) -> None:
        self._leaks.setdefault((leak.splits[1], leak.later), leak)

    def add_first(self, same: Sequence[tuple[SplitName, Item]], how: How) -> None:
        """Add a leak for each of these videos whose split differs from that of the first, the earliest."""
        first, one = same[0]
        for split, item in same[1:]:
            if split != first:
                self.add(Leak(earlier=one.key, later=item.key, splits=(first, split), how=how))

    @property
    def all(self) -> tuple[Leak, ...]:
        return tuple(self._leaks.values())


def _add_overlaps(leaks: _Leaks, same: Sequence[tuple[SplitName, Item]]) -> None:
    """Add the leaks among videos of one file: those in different splits that overlap in time."""
    if len({split for split, _ in same}) < 2:
        return
    if all(item.cut is None for _, item in same):
        leaks.add_first(same, "same file")
        return
    for later, one in _overlapping(same):
        if later[0] != one[0]:
            first, second = sorted((one, later), key=lambda entry: SPLITS.index(entry[0]))
            splits = (first[0], second[0])
            leaks.add(Leak(earlier=first[1].key, later=second[1].key, splits=splits, how="same file"))


def _overlapping(
    same: Sequence[tuple[SplitName, Item]],
) -> Iterator[tuple[tuple[SplitName, Item], tuple[SplitName, Item]]]:
    """Yield pairs that overlap in time, enough to include every part that overlaps with another split."""
    by_start = sorted(same, key=lambda entry: _span(entry[1]))
    reach: dict[SplitName, tuple[SplitName, Item]] = {}  # the item of each split that ends last so far
    for entry in by_start:
        start, end = _span(entry[1])
        for longest in reach.values():
            if _span(longest[1])[1] > start:
                yield entry, longest
        last = reach.get(entry[0])
        if last is None or _span(last[1])[1] < end:
            reach[entry[0]] = entry


def _span(item: Item) -> tuple[float, float]:
    return (0.0, float("inf")) if item.cut is None else (item.cut.start, item.cut.end)
