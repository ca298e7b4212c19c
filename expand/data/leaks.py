"""Videos that stand in two splits, so that a score on one of them says less than it seems to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from expand.data.base import SPLITS, Item, Source, SplitName
from expand.data.file_source import FileSource

How = Literal["same file", "same group", "same bytes"]

# UCF101's names: clips of one group are cut from one long video.
_GROUP = re.compile(r"(.*_g\d+)_c\d+\.[^./]+")
_NAMED = 3

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A video of a later split that shows what one of an earlier split shows.

    Attributes:
        earlier, later: keys of the two videos.
        splits: theirs.
        how: `same file` also where two parts of one video overlap; `same group` by UCF101's names.
    """

    earlier: str
    later: str
    splits: tuple[SplitName, SplitName]
    how: How


def group_of(file: str) -> str | None:
    """The group that a video belongs to by its name; None: it has no such name."""
    match = _GROUP.fullmatch(file)
    return match[1] if match else None


def listed_leaks(source: Source) -> tuple[Leak, ...]:
    """What the lists alone tell: files, parts of files, and groups that stand in two splits."""
    files: dict[str, list[tuple[SplitName, Item]]] = defaultdict(list)
    groups: dict[str, list[tuple[SplitName, Item]]] = defaultdict(list)
    for split in SPLITS:
        for item in source.splits[split]:
            files[item.file].append((split, item))
            if group := group_of(item.file):
                groups[group].append((split, item))
    found = _Found()
    for same in files.values():
        _add_overlaps(found, same)
    for same in groups.values():
        found.add_first(same, "same group")
    return found.leaks


def all_leaks(source: Source, digests: Mapping[str, Value]) -> tuple[Leak, ...]:
    """`listed_leaks`, and videos with the same bytes; `digests`: of those that can be read, by their key."""
    found = _Found()
    for leak in listed_leaks(source):
        found.add(leak)
    same: dict[Value, list[tuple[SplitName, Item]]] = defaultdict(list)
    for split in SPLITS:
        for item in source.splits[split]:
            if item.cut is None and item.key in digests:  # parts of one file are compared by their times
                same[digests[item.key]].append((split, item))
    for items in same.values():
        found.add_first(items, "same bytes")
    return found.leaks


def describe(leaks: Sequence[Leak], source: Source) -> tuple[str, ...]:
    """What they mean, a line for each split that has some."""
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
    """What a user should know of the lists before videos are opened, a line each."""
    return (*notes_of(source), *describe(listed_leaks(source), source))


def notes_of(source: Source) -> tuple[str, ...]:
    """How the lists were read, as far as it needs saying."""
    return source.notes if isinstance(source, FileSource) else ()


class _Found:
    """Leaks as they are found: the first of each video of a later split."""

    def __init__(self) -> None:
        self._leaks: dict[tuple[SplitName, str], Leak] = {}

    def add(self, leak: Leak) -> None:
        self._leaks.setdefault((leak.splits[1], leak.later), leak)

    def add_first(self, same: Sequence[tuple[SplitName, Item]], how: How) -> None:
        """Each of these that is in a later split than the first, which stands in the earliest."""
        first, one = same[0]
        for split, item in same[1:]:
            if split != first:
                self.add(Leak(earlier=one.key, later=item.key, splits=(first, split), how=how))

    @property
    def leaks(self) -> tuple[Leak, ...]:
        return tuple(self._leaks.values())


def _add_overlaps(found: _Found, same: Sequence[tuple[SplitName, Item]]) -> None:
    """Of one file's videos in several splits, those that show the same moments."""
    if len({split for split, _ in same}) < 2:
        return
    if all(item.cut is None for _, item in same):
        found.add_first(same, "same file")
        return
    for later, one in _overlapping(same):
        if later[0] != one[0]:
            first, second = sorted((one, later), key=lambda entry: SPLITS.index(entry[0]))
            splits = (first[0], second[0])
            found.add(Leak(earlier=first[1].key, later=second[1].key, splits=splits, how="same file"))


def _overlapping(
    same: Sequence[tuple[SplitName, Item]],
) -> Iterator[tuple[tuple[SplitName, Item], tuple[SplitName, Item]]]:
    """Neighbours in time that overlap: enough to find each part that has any overlap with another split."""
    by_start = sorted(same, key=lambda entry: _span(entry[1]))
    reach: dict[SplitName, tuple[SplitName, Item]] = {}  # of each split, what lasts longest so far
    for entry in by_start:
        start, end = _span(entry[1])
        for longest in reach.values():
            if _span(longest[1])[1] > start:
                yield entry, longest
        held = reach.get(entry[0])
        if held is None or _span(held[1])[1] < end:
            reach[entry[0]] = entry


def _span(item: Item) -> tuple[float, float]:
    return (0.0, float("inf")) if item.cut is None else (item.cut.start, item.cut.end)
