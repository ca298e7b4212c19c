"""How many bytes a cache of decoded videos takes, from the headers of some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from expand.config.data import DataConfig
from expand.data.base import SPLITS, BadVideo, Item, Source, SplitName, VideoInfo
from expand.data.cache_checks import check_share, named_bad
from expand.data.cache_needs import CacheNeeds
from expand.data.progress import OnProgress, StageProgress, silent
from expand.data.shards import Bad, Entry
from expand.system.units import GB

JPEG_SHARE = 0.25  # JPEG over raw bytes; measured 0.06 (plain renderings) to 0.3 (noise like photographs)
HEADERS = 512  # the most headers that are read to estimate the size, evenly spread over the videos


@runtime_checkable
class Probing(Protocol):
    """A source that can read a video's properties from its header alone."""

    def probe(self, item: Item) -> VideoInfo: ...


def entries_of(source: Source) -> list[Entry]:
    """List all videos, split by split, with those of one file next to each other."""
    listed = source.splits
    entries = [Entry(split, item) for split in SPLITS for item in listed[split]]
    if all(entry.item.cut is None for entry in entries):
        return entries
    first: dict[tuple[SplitName, str], int] = {}
    for index, (split, item) in enumerate(entries):
        first.setdefault((split, item.file), index)
    return sorted(entries, key=lambda entry: first[entry.split, entry.item.file])


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The estimated size of a cache, from videos' headers.

    Attributes:
        weights: bytes of each video's raw frames, in the order of `entries_of`.
        sampled: whether only a sample of headers was read, and every weight is the sample's mean.
        bad: the videos whose headers cannot be read.
    """

    weights: tuple[int, ...]
    sampled: bool
    bad: tuple[Bad, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all raw frames together."""
        return sum(self.weights)


def estimate_size(source: Source, needs: CacheNeeds, config: DataConfig, on_progress: OnProgress) -> Estimate:
    """Estimate the cache's size by reading headers of evenly spread videos.

    Raises:
        UserError: too many of the videos are bad already.
    """
    entries = entries_of(source)
    step = -(-len(entries) // HEADERS)
    sample = entries[::step]
    info_of = source.probe if isinstance(source, Probing) else source.inspect
    weights, bad = [], []
    for done, (split, item) in enumerate(sample):
        on_progress(StageProgress(what="reading headers", done=done, total=len(sample)))
        try:
            weights.append(needs.estimate_bytes(split, info_of(item)))
        except BadVideo as error:
            weights.append(0)
            bad.append(Bad(item.key, split, str(error)))
    on_progress(StageProgress(what="reading headers", done=len(sample), total=len(sample)))
    check_share(bad, len(entries), config)
    if step > 1:
        weights = [round(sum(weights) / len(weights))] * len(entries)
    return Estimate(weights=tuple(weights), sampled=step > 1, bad=tuple(bad))


def look_at_headers(
    source: Source, needs: CacheNeeds, config: DataConfig, on_progress: OnProgress = silent
) -> tuple[int, str]:
    """Read videos' headers, without writing or decoding anything.

    Returns:
        The bytes that a cache would take, and the bad videos among those read in words; empty without any.

    Raises:
        UserError: too many of the videos are bad, as far as their headers tell.
    """
    found = estimate_size(source, needs, config, on_progress)
    size = round(found.bytes * (JPEG_SHARE if found.bytes > config.cache.limit_gb * GB else 1))
    if not found.bad:
        return size, ""
    looked = len(found.weights[:: -(-len(found.weights) // HEADERS)])
    return size, f"{len(found.bad):,} of {looked:,} videos whose headers were read: {named_bad(found.bad)}"
