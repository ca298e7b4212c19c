"""Builds a cache slowly, a shard a video, so that a test can break it off."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from expand.config.data import CacheConfig, DataConfig
from expand.data import cache
from expand.data.base import BadVideo, Decoded, Item, Moments
from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds
from expand.data.file_source import FileSource
from expand.data.sources import open_source
from tests.expand.faults.processes import fork_server

NEEDS = CacheNeeds(short_side=24, fps=10)


class SlowSource(FileSource):
    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        time.sleep(0.15)
        return FileSource.read(self, items, moments, short_side=short_side)


def configured(folder: Path, cache_folder: Path) -> DataConfig:
    return DataConfig(path=folder, flip=False, cache=CacheConfig(folder=cache_folder))


def build(folder: Path, cache_folder: Path, processes: int) -> None:
    """Build it in a new process group; what a process does that a test forks."""
    os.setsid()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs inherit that it is ignored
    fork_server()
    config = configured(folder, cache_folder)
    cache.SHARD_BYTES = (1, 1)
    source = open_source(config)
    assert isinstance(source, FileSource)
    slow = SlowSource(**{field.name: getattr(source, field.name) for field in fields(source)})
    open_cache(slow, NEEDS, config, processes=processes)
