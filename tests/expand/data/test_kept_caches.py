"""Listing and clearing caches of decoded videos."""

from __future__ import annotations

import json
from pathlib import Path

import filelock
import pytest

from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds
from expand.data.kept_caches import delete_cache, kept_caches, named_caches
from expand.data.sources import open_source
from expand.system.errors import UserError
from tests.expand.commands import Xpand, refused
from tests.expand.runs import toy_config


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two caches of synthetic clips, an unfinished one, and a folder that is none."""
    config = toy_config(tmp_path / "caches").data
    for short_side in (16, 32):
        open_cache(open_source(config), CacheNeeds(short_side=short_side, fps=5.0), config)
    (tmp_path / "caches" / ("0" * 20)).mkdir()
    (tmp_path / "caches" / ("0" * 20) / "shard-0000.bin").write_bytes(b"half")
    (tmp_path / "caches" / "mine").mkdir()
    return tmp_path / "caches"


def test_caches_are_listed_with_what_they_are_of(root: Path) -> None:
    large, small, unfinished = kept_caches(root)
    assert [(one.data, one.videos, one.frames) for one in (large, small, unfinished)] == [
        ("synthetic", 36, "short side 32, 5 fps, raw"),
        ("synthetic", 36, "short side 16, 5 fps, raw"),
        (None, 0, "unfinished"),
    ]
    assert large.bytes == sum(path.stat().st_size for path in large.folder.iterdir())
    assert large.bytes > 2 * small.bytes
    assert unfinished.bytes == 4
    assert kept_caches(root / "nothing") == []


def test_what_is_deleted_is_gone_and_the_rest_is_left(root: Path) -> None:
    large, small, unfinished = kept_caches(root)
    delete_cache(large)
    assert kept_caches(root) == [small, unfinished]
    assert (root / "mine").is_dir()
    assert not list(root.glob(f"{large.folder.name}*"))


def test_what_a_run_builds_is_not_deleted(root: Path) -> None:
    cache = kept_caches(root)[0]
    with (
        filelock.FileLock(cache.folder.with_suffix(".lock")),
        pytest.raises(UserError, match="must not be in use, but a run builds it"),
    ):
        delete_cache(cache)
    assert cache in kept_caches(root)


def test_caches_are_named_by_their_data_or_folder(root: Path) -> None:
    caches = kept_caches(root)
    assert named_caches(caches, ["synthetic"]) == caches[:2]
    assert named_caches(caches, ["0" * 20]) == caches[2:]
    with pytest.raises(
        UserError, match=r"must name data or a folder of a cache \(synthetic, 0{20}\), got motion"
    ):
        named_caches(caches, ["motion"])


def test_the_verb(xpand: Xpand, root: Path) -> None:
    listed = xpand("cache", "--folder", root)
    assert [line.split()[0] for line in listed.stdout.splitlines()[:3]] == ["data", "synthetic", "synthetic"]
    assert f"3 caches in {root}, " in listed.stderr
    assert len(json.loads(xpand("cache", "--folder", root, "--json").stdout)) == 3
    assert refused(xpand("cache", "--folder", root, "--clear", "motion")).startswith(
        "error: --clear must name"
    )
    cleared = xpand("cache", "--folder", root, "--clear", "synthetic")
    assert cleared.stderr.startswith("cleared 2 of 3 caches, ")
    assert "1 cache in" in cleared.stderr
    assert xpand("cache", "--folder", root, "--clear-all").stderr.endswith(f"0 caches in {root}, 0 MB\n")
