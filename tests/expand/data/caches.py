"""Caches of test videos, and what happens while they are opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from expand.data.base import Frames
from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds
from expand.data.cache_reader import Cached, CachedSplit
from expand.data.progress import StageProgress, silent
from expand.data.sources import open_source
from tests.expand.data.slow_build import NEEDS, configured
from tests.expand.data.splits import whole


def opened(
    folder: Path,
    cache_folder: Path,
    *,
    needs: CacheNeeds = NEEDS,
    processes: int = 1,
    on_progress: Callable[[StageProgress], None] = silent,
    **settings: Any,
) -> Cached:
    config = configured(folder, cache_folder).model_copy(update=settings)
    return open_cache(open_source(config), needs, config, processes=processes, on_progress=on_progress)


def everything(split: CachedSplit) -> list[Frames]:
    return [whole(split, video, np.arange(0, split.seconds[video], 0.1)) for video in range(len(split))]


def same(one: Cached, other: Cached) -> bool:
    return all(
        left.keys == right.keys
        and np.array_equal(left.labels, right.labels)
        and all(map(np.array_equal, everything(left), everything(right)))
        for left, right in ((one.train, other.train), (one.val, other.val))
    )


class Watcher:
    def __init__(self) -> None:
        self.seen: list[StageProgress] = []

    def __call__(self, progress: StageProgress) -> None:
        self.seen.append(progress)

    @property
    def notes(self) -> list[str]:
        return [progress.note for progress in self.seen if progress.note]

    @property
    def decoded(self) -> bool:
        return any(progress.what == "decoding videos" for progress in self.seen)
