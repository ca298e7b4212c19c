"""The test videos of a search, on which what it has found is scored at the end: their lists.

They have no part in any decision, so they are apart from the videos that a search reads: with a source, a
checksum and caches of their own, one for each of the search's. Their frames are those of the same grids, so
that a network is tested as it is validated. They are decoded before the search starts: a video that cannot
be used is noticed then, and not after days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from expand.config.search import Config
from expand.data.base import SPLITS, Source
from expand.data.cache_reader import Cached
from expand.data.changed_files import Contents
from expand.data.file_source import FileSource
from expand.data.leaks import all_leaks, describe, notes_of
from expand.data.sources import open_source, segments_of
from expand.search.setup import DataCard
from expand.system.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """The lists of a data set with its test videos, none of which is decoded yet.

    Attributes:
        whole: the lists of all splits.
        test: the list of the test videos alone, with the same classes.
    """

    whole: Source
    test: Source


def held_out(config: Config, source: Source, wanted: DataCard | None) -> HeldOut | None:
    """List the test videos that the networks which a search finds are scored on.

    Args:
        config: the search's configuration.
        source: the videos that the search reads.
        wanted: the data of the run that is resumed; None for a new run.

    Returns:
        None if there are none: the data have no test split, or the search validates on it; the search trains
        nothing with fresh seeds; or its run began without test videos.

    Raises:
        UserError: the lists cannot be read, or lack the test videos that the run began with.
    """
    if not config.search.confirmations or (wanted is not None and wanted.test_checksum is None):
        return None
    try:
        whole = open_source(config.data, splits=SPLITS)
    except UserError as error:
        if wanted is not None:
            raise
        raise UserError(
            f"{error} What is found is scored on the test videos: to go without, set search.confirm to 0."
        ) from None
    if whole.classes != source.classes:
        raise UserError(
            f"the classes must be the same with and without the test videos, but of {len(source.classes)} "
            f"they become {len(whole.classes)}: give the test list labels as those of training."
        )
    if not whole.splits["test"]:
        if wanted is None:
            return None
        raise UserError(
            f"the data must have the {wanted.test:,} test videos that the run was started with, but "
            f"{source.name} has none: put them back, or start another run."
        )
    test = whole.only(["test"])
    if (segments := segments_of(test)) is not None and not any(
        segments[it.key] for it in test.splits["test"]
    ):
        raise UserError(
            f"the test videos of {source.name} must have labels, but none has any: name others (data.test), "
            "or set search.confirm to 0."
        )
    if isinstance(test, FileSource):  # remarks on the other lists were made before
        test = replace(test, notes=tuple(note for note in test.notes if note not in notes_of(source)))
    return HeldOut(whole=whole, test=test)


def leaks_to(found: HeldOut, caches: Sequence[Cached]) -> tuple[str, ...]:
    """Say which test videos a search reads too, in a line; none if there are no such.

    Args:
        found: the lists.
        caches: one with the videos that the search reads, and one with the test videos.
    """
    bad = {one.key for cached in caches for one in cached.bad}
    hashes = {key: value for cached in caches for key, value in Contents.noted(cached.folder).items()}
    readable = {key: value for key, value in hashes.items() if key not in bad}
    return describe([one for one in all_leaks(found.whole, readable) if one.splits[1] == "test"], found.whole)
