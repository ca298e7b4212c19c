"""Whether a cache has room on its disk, and whether enough of its videos can be read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable

from expand.config.data import DataConfig
from expand.data.base import Source
from expand.data.cache_reader import Cached
from expand.data.changed_files import named
from expand.data.shards import Bad, ShardPlan
from expand.system.errors import UserError
from expand.system.units import GB

_FREE_MARGIN = 1.05


def check_free(plan: ShardPlan, needed: int) -> None:
    """Check that the disk of a cache has room for the bytes that it still needs.

    Raises:
        UserError: it has not.
    """
    free = shutil.disk_usage(plan.folder).free
    if needed * _FREE_MARGIN > free:
        less = ", or set data.cache.limit_gb lower to keep JPEG" if plan.storage == "raw" else ""
        raise UserError(
            f"the cache must have {needed * _FREE_MARGIN / GB:.1f} GB of room, but {plan.folder.parent} has "
            f"{free / GB:.1f} GB free: make room, or set data.cache.folder to a larger disk{less}."
        )


def check_bad(cached: Cached, config: DataConfig, source: Source) -> None:
    """Check that enough videos are usable.

    Raises:
        UserError: too large a share of all videos is bad, or all videos of a split, or all training videos of
            a class.
    """
    check_share(cached.bad, len(cached.bad) + len(cached), config)
    for split, items in source.splits.items():
        if items and not len(cached.splits[split]):
            raise UserError(
                f"the {split} split must have a video that can be read, but all of its {len(items):,} are "
                f"bad: {named_bad(cached.bad)}: replace them (`xpand doctor` lists them), or list others."
            )
    left = Counter(cached.train.labels.tolist())
    listed = {item.label for item in source.splits["train"]}
    for label, name in enumerate(cached.classes):
        if label in listed and not left[label]:
            raise UserError(
                f"every class must have a training video that can be read, but {name!r} has none: "
                "replace its bad videos (`xpand doctor` lists them), or take the class out."
            )


def check_share(bad: Iterable[Bad], total: int, config: DataConfig) -> None:
    """Check that no larger share of all videos is bad than may be.

    Raises:
        UserError: a larger share is.
    """
    bad = list(bad)
    if len(bad) > config.max_bad_share * total:
        raise UserError(
            f"at most {config.max_bad_share:.1%} of the videos may be bad (data.max_bad_share), but "
            f"{len(bad):,} of {total:,} are: {named_bad(bad)}: replace them, take them out, or raise the "
            "share."
        )


def named_bad(bad: Iterable[Bad]) -> str:
    """Name the first of the bad videos, each with what is wrong with it."""
    return named([f"{key} ({reason})" for key, _, reason in bad])
