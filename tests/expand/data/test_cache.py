from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from expand.config.data import CacheConfig, DataConfig
from expand.data import cache as cache_module
from expand.data import shards
from expand.data.base import SEARCHED, BadVideo, Decoded, Item, Moments, Source, SplitName, VideoInfo
from expand.data.cache import default_folder, open_cache
from expand.data.cache_needs import CacheNeeds
from expand.data.cache_reader import open_built
from expand.data.progress import StageProgress
from expand.data.sources import open_source
from expand.system.errors import UserError
from tests.expand.data.caches import Watcher, everything, opened, same
from tests.expand.data.slow_build import NEEDS, configured
from tests.expand.data.splits import whole
from tests.expand.data.videos import seconds_of, write_classes, write_clip


def test_the_cache_holds_what_the_source_decodes(motions: Path, tmp_path: Path) -> None:
    source = open_source(configured(motions, tmp_path))
    cached = opened(motions, tmp_path)
    assert (cached.name, cached.classes, cached.storage) == ("motions", ("left", "right", "up"), "raw")
    assert (cached.bad, cached.checksum) == ((), source.checksum())
    for split, items in ((cached.train, source.splits["train"]), (cached.val, source.splits["val"])):
        assert split.keys == tuple(item.key for item in items)
        assert split.labels.tolist() == [item.label for item in items]
        for video, item in enumerate(items):
            assert split.seconds[video] == pytest.approx(1.0, abs=1e-3)
            (found,) = source.read([item], lambda seconds: np.arange(10) / 10, short_side=24)
            assert isinstance(found, Decoded)
            assert np.array_equal(whole(split, video, np.arange(10) / 10), found.frames)


def test_times_find_the_nearest_frame_and_wrap_round(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_clip(tmp_path / f"data/{name}/1.mp4", seconds=2.0, fps=30)
        write_clip(tmp_path / f"data/{name}/2.mp4", seconds=1.0, fps=15)
    cached = opened(tmp_path / "data", tmp_path / "cache")
    split, video = next(
        (split, video)
        for split in (cached.train, cached.val)
        for video in range(len(split))
        if split.seconds[video] > 1.5
    )
    times = np.array([0.0, 0.1, 0.19, 0.3, 0.33, 0.37, 1.9, 1.99, 2.0, 2.1, 5.5])
    wanted = np.array([0.0, 0.1, 0.2, 0.3, 0.3, 0.4, 1.9, 1.97, 0.0, 0.1, 1.5])
    assert np.abs(seconds_of(whole(split, video, times)) - wanted).max() < 0.035


@pytest.mark.parametrize("limit_gb", [1.0, 1e-4])
def test_windows_are_cut_out_of_whole_frames(motions: Path, tmp_path: Path, limit_gb: float) -> None:
    split = opened(motions, tmp_path, cache=CacheConfig(folder=tmp_path, limit_gb=limit_gb)).train
    videos, times = np.array([2, 0, 2]), np.array([[0.0, 0.35], [0.9, 1.2], [0.5, 0.5]])
    windows = np.array([[0, 24, 0, 32], [3, 10, 5, 12], [23, 24, 0, 1]])
    for clip, video, moments, window in zip(
        split.take(videos, times, windows), videos, times, windows, strict=True
    ):
        top, bottom, left, right = window
        assert np.array_equal(clip, whole(split, video, moments)[:, top:bottom, left:right])


def test_an_equal_need_finds_the_cache_untouched(motions: Path, tmp_path: Path) -> None:
    first = opened(motions, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    watcher = Watcher()
    second = opened(motions, tmp_path, on_progress=watcher)
    assert second.folder == first.folder
    assert {path: path.stat().st_mtime_ns for path in second.folder.iterdir()} == before
    assert not watcher.decoded
    assert same(first, second)


@pytest.mark.parametrize("needs", [CacheNeeds(short_side=25, fps=10), CacheNeeds(short_side=24, fps=11)])
def test_other_needs_are_another_cache(motions: Path, tmp_path: Path, needs: CacheNeeds) -> None:
    assert opened(motions, tmp_path).folder != opened(motions, tmp_path, needs=needs).folder


def test_changed_videos_are_another_cache(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 2, "b": 2})
    before = opened(data, tmp_path / "cache")
    shutil.copy(data / "a/0.mp4", data / "a/1.mp4")
    assert opened(data, tmp_path / "cache").folder != before.folder


@pytest.mark.slow
def test_processes_give_what_one_gives(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SHARD_BYTES", (1, 1))
    one, two = opened(motions, tmp_path / "1"), opened(motions, tmp_path / "2", processes=2)
    names = sorted(path.name for path in one.folder.iterdir())
    assert len([name for name in names if name.endswith(".bin")]) == 18
    assert names == sorted(path.name for path in two.folder.iterdir())
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)


def test_jpeg_is_near_raw_and_smaller(motions: Path, tmp_path: Path) -> None:
    raw = opened(motions, tmp_path)
    watcher = Watcher()
    small = CacheConfig(folder=tmp_path, limit_gb=1e-4)
    jpeg = opened(motions, tmp_path, cache=small, on_progress=watcher)
    assert (raw.storage, jpeg.storage) == ("raw", "jpeg")
    assert jpeg.bytes < raw.bytes / 2
    for one, other in zip(everything(raw.train), everything(jpeg.train), strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).max() <= 6
    assert watcher.notes == [
        f"the cache takes about 0.00 GB (JPEG, as raw frames would take 0.00 GB) in {jpeg.folder}"
    ]
    again = Watcher()
    assert opened(motions, tmp_path, cache=small, on_progress=again).folder == jpeg.folder
    assert not again.decoded


def test_jpeg_keeps_pictures_with_detail() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    frames = np.ascontiguousarray(coarse.repeat(9, axis=1).repeat(9, axis=2)[:, 1:, 2:])  # odd sizes
    before = np.zeros(8 + 5 * 8, np.uint8)  # another video, and the times of this one
    shard = np.concatenate([before, shards.pack_jpeg(frames)])
    wanted = np.array([4, 0, 0, 2])
    read = shards.JpegReader().read(shard, 8, 5, 53, 61, wanted)
    assert np.abs(read.astype(int) - frames[wanted]).mean() < 5


def test_the_size_is_said_before_anything_is_written(motions: Path, tmp_path: Path) -> None:
    written: list[list[str]] = []
    watcher = Watcher()

    def on_progress(progress: StageProgress) -> None:
        watcher(progress)
        if progress.note:
            written.append([path.name for path in tmp_path.rglob("*.bin")])

    cached = opened(motions, tmp_path, on_progress=on_progress)
    assert written == [[]]
    assert watcher.notes == [f"the cache takes 0.00 GB (raw frames) in {cached.folder}"]


def test_the_size_of_many_videos_is_worked_out_from_some(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = opened(motions, tmp_path / "exact")
    monkeypatch.setattr("expand.data.cache_size.HEADERS", 5)
    watcher = Watcher()
    cached = opened(motions, tmp_path / "about", on_progress=watcher)
    assert {progress.total for progress in watcher.seen if progress.what == "reading headers"} == {5}
    assert watcher.notes == [f"the cache takes about 0.00 GB (raw frames) in {cached.folder}"]
    assert cached.bytes == exact.bytes
    assert same(cached, exact)


def test_the_raw_size_is_at_most_what_is_expected(motions: Path, tmp_path: Path) -> None:
    source = open_source(configured(motions, tmp_path))
    infos = [source.inspect(item) for split in SEARCHED for item in source.splits[split]]
    frames = sum(NEEDS.estimate_bytes("train", info) for info in infos)
    assert frames == 18 * 11 * 24 * 32 * 3
    # At 15 frames a second, the last two moments have the same frame. Each frame has a time besides.
    assert opened(motions, tmp_path).bytes == 18 * 10 * (24 * 32 * 3 + 8)


def test_a_split_pickles_as_its_place(motions: Path, tmp_path: Path) -> None:
    split = opened(motions, tmp_path).val
    whole(split, 0, np.zeros(1))
    packed = pickle.dumps(split)
    assert len(packed) < 500
    assert all(map(np.array_equal, everything(pickle.loads(packed)), everything(split)))


def test_a_built_cache_opens_without_its_videos(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 2, "b": 2})
    built = opened(data, tmp_path / "cache")
    shutil.rmtree(data)
    assert same(open_built(built.folder), built)


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "xpand"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache/xpand"


# Bad videos, and messages


def write_with_bad(root: Path, good: int = 4) -> Path:
    write_classes(root, {"a": good, "b": good})
    (root / "a/bad.mp4").touch()
    return root


def test_bad_videos_are_left_out_and_listed(tmp_path: Path) -> None:
    notes: list[str] = []
    cached = opened(
        write_with_bad(tmp_path / "data"),
        tmp_path / "cache",
        max_bad_share=0.2,
        on_progress=lambda progress: notes.append(progress.note),
    )
    assert notes[-1] == ("1 of 9 videos are bad and left out: a/bad.mp4 (empty); `xpand doctor` lists them")
    ((key, split, reason),) = cached.bad
    assert (key, reason) == ("a/bad.mp4", "empty")
    assert split in ("train", "val")
    assert len(cached.train) + len(cached.val) == 8
    assert key not in cached.train.keys + cached.val.keys


def test_too_many_bad_videos(tmp_path: Path) -> None:
    data = write_with_bad(tmp_path / "data")
    wanted = (
        "at most 5.0% of the videos may be bad (data.max_bad_share), but 1 of 9 are: a/bad.mp4 (empty): "
        "replace them, take them out, or raise the share."
    )
    with pytest.raises(UserError) as caught:
        opened(data, tmp_path / "cache")
    assert str(caught.value) == wanted
    opened(data, tmp_path / "cache", max_bad_share=0.5)
    with pytest.raises(UserError) as caught:  # a built cache does not hide them
        opened(data, tmp_path / "cache")
    assert str(caught.value) == wanted


def test_many_bad_videos_are_named_in_part(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 2, "b": 2})
    (tmp_path / "data/train.txt").write_text("".join(f"{i}.mp4 a\n" for i in range(5)) + "b/0.mp4 b\n")
    (tmp_path / "data/val.txt").write_text("b/1.mp4 b\n")
    with pytest.raises(UserError) as caught:
        opened(data, tmp_path / "cache")
    assert str(caught.value) == (
        "at most 5.0% of the videos may be bad (data.max_bad_share), but 5 of 7 are: 0.mp4 (missing), "
        "1.mp4 (missing), 2.mp4 (missing) and 2 more: replace them, take them out, or raise the share."
    )


def test_a_split_without_a_good_video(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data/train", {"a": 9, "b": 9}).parent
    (data / "val/a").mkdir(parents=True)
    (data / "val/a/bad.mp4").touch()
    with pytest.raises(UserError) as caught:
        opened(data, tmp_path / "cache", max_bad_share=0.5)
    assert str(caught.value) == (
        "the val split must have a video that can be read, but all of its 1 are bad: val/a/bad.mp4 (empty): "
        "replace them (`xpand doctor` lists them), or list others."
    )


def test_a_class_without_a_good_training_video(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 9})
    (data / "b").mkdir()
    (data / "b/bad.mp4").touch()
    with pytest.raises(UserError) as caught:
        opened(data, tmp_path / "cache", max_bad_share=0.5)
    assert str(caught.value) == (
        "every class must have a training video that can be read, but 'b' has none: replace its bad videos "
        "(`xpand doctor` lists them), or take the class out."
    )


class HugeSource:
    """Two videos of a million seconds, as far as one is told."""

    name = "huge"
    classes = ("a", "b")
    splits: dict[SplitName, tuple[Item, ...]] = {  # noqa: RUF012
        "train": (Item(key="a", label=0), Item(key="b", label=1)),
        "val": (),
        "test": (),
    }

    def only(self, splits: Sequence[SplitName]) -> HugeSource:
        raise NotImplementedError

    def checksum(self) -> str:
        return "0" * 64

    def inspect(self, item: Item) -> VideoInfo:
        return VideoInfo(seconds=1e6, frames=30 * 10**6, fps=30.0, width=1000, height=1000)

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        raise NotImplementedError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_is_noticed_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 3 * 10**9))
    source: Source = HugeSource()
    config = DataConfig(path=tmp_path, cache=CacheConfig(folder=tmp_path))
    with pytest.raises(UserError) as caught:
        open_cache(source, CacheNeeds(short_side=100, fps=10), config)
    assert str(caught.value) == (
        f"the cache must have 157.5 GB of room, but {tmp_path} has 3.0 GB free: make room, or set "
        "data.cache.folder to a larger disk."
    )
    with pytest.raises(UserError) as caught:
        open_cache(source, CacheNeeds(short_side=10, fps=10), config)
    assert str(caught.value) == (
        f"the cache must have 6.3 GB of room, but {tmp_path} has 3.0 GB free: make room, or set "
        "data.cache.folder to a larger disk, or set data.cache.limit_gb lower to keep JPEG."
    )


def test_a_folder_that_cannot_be_written(motions: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        opened(motions, tmp_path / "file")
    assert str(caught.value) == (
        f"cache.folder must be a folder that can be written, got {tmp_path / 'file'}: Not a directory."
    )


def test_needs_are_above_zero() -> None:
    with pytest.raises(ValueError) as caught:
        CacheNeeds(short_side=0, fps=10)
    assert str(caught.value) == "short_side must be above 0, got 0."
