"""Builds the cache of decoded videos, which every worker, and every later run with the same needs, reads.

A cache is a folder whose name is a hash of all that its content depends on. Its shards are written one by
one, so an interrupted build continues from the finished ones; `index.json` is written last, and without it
nothing is read.

Shapes: N frames kept of a video, T frames in a clip, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from expand.config.data import DataConfig
from expand.data import pool, shards
from expand.data.base import Source
from expand.data.cache_checks import check_bad, check_free, named_bad
from expand.data.cache_needs import CacheNeeds
from expand.data.cache_reader import INDEX, Cached, open_built, read_index, write_videos
from expand.data.cache_size import JPEG_SHARE, Estimate, entries_of, estimate_size
from expand.data.changed_files import Contents, named
from expand.data.leaks import all_leaks, describe, describe_labels, notes_of, two_labels
from expand.data.progress import OnProgress, StageProgress, silent
from expand.data.shards import STORAGES, Entry, Shard, ShardPlan, Storage
from expand.system.errors import RunFailed, UserError
from expand.system.files import quarantine, write_atomic
from expand.system.units import GB
from search_spaces.cache_folder import cache_folder, can_make

FORMAT_VERSION = 2
_VERIFY_BYTES = 8 * GB  # on opening, checksums are verified up to this size; of larger caches, file sizes
_SHARDS = 64
SHARD_BYTES = (16 << 20, 512 << 20)


def default_folder() -> Path:
    """Return the folder of caches where data.cache.folder is not set.

    Raises:
        UserError: no folder can be written.
    """
    try:
        folder = cache_folder("xpand")
        if not can_make(folder):
            raise PermissionError(f"{folder} is not")
    except OSError as error:
        raise UserError(
            f"decoded videos must have a folder that can be written, but {error}: set data.cache.folder or "
            "XDG_CACHE_HOME."
        ) from None
    return folder


def open_cache(
    source: Source,
    needs: CacheNeeds,
    config: DataConfig,
    *,
    processes: int = 1,
    on_progress: OnProgress = silent,
    wanted: str | None = None,
) -> Cached:
    """Open the cache of a source's decoded videos; build it first unless an earlier run has.

    The cache's size is estimated and announced before anything is written.

    Args:
        source: the videos.
        needs: size and rate of the frames that must be kept.
        config: the folder of caches, the limit for raw frames, and the share of videos that may be bad.
        processes: number of processes that decode.
        on_progress: called with the progress.
        wanted: the checksum that the videos must have, for a run that is resumed; None allows any.

    Raises:
        UserError: too many videos are bad, a class or a split has none left, the disk has not enough space,
            or the videos do not have the checksum `wanted`.
        RunFailed: a decoding process died, the disk is full, or a video changed during the build.
    """
    root = config.cache.folder or default_folder()
    on_progress(StageProgress(what="reading files", done=0, total=1))
    contents = Contents.read(source)
    on_progress(StageProgress(what="reading files", done=1, total=1))
    readable = contents.readable
    doubles = (*describe(all_leaks(source, readable), source), *describe_labels(two_labels(source, readable)))
    for line in (*notes_of(source), *doubles):
        on_progress(StageProgress(what="reading files", done=1, total=1, note=line))
    if wanted is not None:
        contents.check(wanted, _folders(root, wanted, needs).values())
    folders = _folders(root, contents.checksum, needs)
    limit = config.cache.limit_gb * GB
    storage, estimate = _built(folders, limit), Estimate(weights=(), sampled=False)
    if storage is None:
        estimate = estimate_size(source, needs, config, on_progress)
        storage = "jpeg" if estimate.bytes > limit else "raw"
    folder = folders[storage]
    _make_folder(folder)
    with _locked(root / f"{folder.name}.lock", on_progress):
        index = read_index(folder)
        if index is None and (folder / INDEX).exists():
            note = f"{INDEX} in {folder} damaged: set aside and made again"
            on_progress(StageProgress(what="checking the cache", done=1, total=1, note=note))
            quarantine(folder / INDEX)
        damaged = [] if index is None else _damaged(folder, index, on_progress)
        if damaged:
            note = f"{', '.join(damaged)} in {folder} damaged: built again"
            on_progress(StageProgress(what="checking the cache", done=1, total=1, note=note))
            (folder / INDEX).unlink()
            for file in damaged:
                shards.discard_shard(folder, file)
            estimate = estimate_size(source, needs, config, on_progress)
        if not (folder / INDEX).exists():
            plan = ShardPlan(source=source, folder=folder, needs=needs, storage=storage)
            contents.note(folder)
            _build(plan, contents, estimate, processes, on_progress)
    cached = open_built(folder)
    check_bad(cached, config, source)
    if cached.bad:
        counted = f"{len(cached.bad):,} of {len(cached.bad) + len(cached):,}"
        note = f"{counted} videos are bad and left out: {named_bad(cached.bad)}; `xpand doctor` lists them"
        on_progress(StageProgress(what="checking the cache", done=1, total=1, note=note))
    return cached


def _folders(root: Path, checksum: str, needs: CacheNeeds) -> dict[Storage, Path]:
    """Return the folder of the cache for videos with this checksum, for each storage."""
    return {storage: root / _name(checksum, needs, storage) for storage in STORAGES}


def _name(checksum: str, needs: CacheNeeds, storage: Storage) -> str:
    decides = json.dumps([FORMAT_VERSION, checksum, needs.deciding(), storage])
    return hashlib.sha256(decides.encode()).hexdigest()[:20]


def _built(folders: dict[Storage, Path], limit: float) -> Storage | None:
    """Return the storage of a built cache, if the limit would choose the same storage again."""
    for storage, folder in folders.items():
        index = read_index(folder)
        if index is not None and storage == ("jpeg" if index["estimate"] > limit else "raw"):
            return storage
    return None


def _build(
    plan: ShardPlan,
    contents: Contents,
    estimate: Estimate,
    processes: int,
    on_progress: OnProgress,
) -> None:
    _sweep(plan.folder)
    jobs = _jobs(entries_of(plan.source), estimate.weights)
    done: dict[str, Shard] = {}
    for file, entries in jobs:
        shard = shards.finished_shard(plan.folder, file, entries)
        if shard is not None:
            done[file] = shard
    left = [job for job in jobs if job[0] not in done]
    expected = round(estimate.bytes * (JPEG_SHARE if plan.storage == "jpeg" else 1))
    needed = max(0, expected - sum(shard.bytes for shard in done.values()))
    about = "about " if estimate.sampled or plan.storage == "jpeg" else ""
    kept_as = _kept_as(plan.storage, estimate.bytes)
    note = f"the cache takes {about}{expected / GB:.2f} GB ({kept_as}) in {plan.folder}"
    videos = {file: len(entries) for file, entries in jobs}

    def progress(note: str = "") -> StageProgress:
        finished = sum(videos[file] for file in done)
        return StageProgress(what="decoding videos", done=finished, total=sum(videos.values()), note=note)

    on_progress(progress(note))
    check_free(plan, needed)
    try:
        for shard in pool.work(shards.build_shard, plan, left, processes=processes):
            done[shard.file] = shard
            on_progress(progress())
    finally:
        _sweep(plan.folder)
    _check_same(contents, plan, done.values())
    whole = [done[file] for file, _ in jobs]
    write_videos(plan.folder, whole)
    index = {
        "version": FORMAT_VERSION,
        "name": plan.source.name,
        "classes": plan.source.classes,
        "checksum": contents.checksum,
        "needs": plan.needs.deciding(),
        "storage": plan.storage,
        "estimate": estimate.bytes,
        "videos": sum(len(shard.kept) for shard in whole),
        "shards": [{"file": shard.file, "bytes": shard.bytes, "crc32": shard.crc32} for shard in whole],
        "bad": [bad for shard in whole for bad in shard.bad],
    }
    write_atomic(plan.folder / INDEX, json.dumps(index), shards.AGAIN)


def _sweep(folder: Path) -> None:
    """Delete unfinished files of processes that were ended."""
    for path in folder.glob(".*.partial"):
        path.unlink()


def _check_same(contents: Contents, plan: ShardPlan, done: Iterable[Shard]) -> None:
    """Check that no video changed during the build; delete the shards of those that did.

    Raises:
        RunFailed: a video changed.
    """
    changed = contents.written_since()
    if not changed:
        return
    for shard in done:
        own = {kept.key for kept in shard.kept} | {bad.key for bad in shard.bad}
        if not own.isdisjoint(changed):
            shards.discard_shard(plan.folder, shard.file)
    raise RunFailed(
        f"the videos must stay as they are while they are decoded, but changed: {named(changed)}; "
        "start again."
    )


def _jobs(entries: Sequence[Entry], weights: Sequence[int]) -> list[tuple[str, tuple[Entry, ...]]]:
    """Assign videos to shards, by the videos alone, so that a later build can continue this one."""
    low, high = SHARD_BYTES
    most = min(max(sum(weights) // _SHARDS, low), high)
    groups: list[list[Entry]] = []
    filled = most
    for entry, weight in zip(entries, weights, strict=True):
        if filled + weight > most:
            groups.append([])
            filled = 0
        groups[-1].append(entry)
        filled += weight
    return [(f"shard-{number:04}.bin", tuple(group)) for number, group in enumerate(groups)]


def _damaged(folder: Path, index: Mapping[str, Any], on_progress: OnProgress) -> list[str]:
    """List the shards of a built cache whose size or checksum is wrong."""
    listed = index["shards"]
    cheap = sum(shard["bytes"] for shard in listed) <= _VERIFY_BYTES

    def is_whole(shard: dict[str, Any]) -> bool:
        path = folder / shard["file"]
        if not cheap:
            return shards.has_size(path, shard["bytes"])
        return shards.is_whole(path, shard["bytes"], shard["crc32"])

    on_progress(StageProgress(what="checking the cache", done=0, total=1))
    with ThreadPoolExecutor(max_workers=4) as threads:
        whole = list(threads.map(is_whole, listed))
    on_progress(StageProgress(what="checking the cache", done=1, total=1))
    return [shard["file"] for shard, good in zip(listed, whole, strict=True) if not good]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cache.folder must be a folder that can be written, got {folder.parent}: {error.strerror}."
        ) from None


@contextmanager
def _locked(path: Path, on_progress: OnProgress) -> Iterator[None]:
    """Hold the lock of a cache; announce it when another run has the lock, and wait."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        note = "another run builds the same cache: waiting for it"
        on_progress(StageProgress(what="waiting", done=0, total=1, note=note))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _kept_as(storage: Storage, estimate: int) -> str:
    return "raw frames" if storage == "raw" else f"JPEG, as raw frames would take {estimate / GB:.2f} GB"
