"""The clips drawn from a seed: the contract of a source, and classes that differ in what they should only."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from expand.config.data import DataConfig, SyntheticConfig
from expand.data.base import SPLITS, BadVideo, Frames, Item, Source
from expand.data.sources import open_source
from expand.data.synthetic import CLASSES, SyntheticSource

SOURCE = SyntheticSource(config=SyntheticConfig(train=48, val=24, size=96))
MOVING, DETAILED = range(8), range(8, 12)


def grid(seconds: float, fps: float) -> NDArray[np.float64]:
    return np.arange(max(1, int(seconds * fps + 1e-6))) / fps


def decoded(source: Source, item: Item, *, fps: float, short_side: int) -> Frames:
    """(N, H, W, 3): the frames at k / fps seconds."""
    (found,) = source.read([item], lambda seconds: grid(seconds, fps), short_side=short_side)
    if isinstance(found, BadVideo):
        raise found
    return found.frames


def same_draws(number: int, first: int, *, fps: float, short_side: int = 96) -> tuple[Frames, Frames]:
    """A clip as it is in either class of the pair that starts at class `first`."""
    one, other = (
        decoded(SOURCE, Item(key=f"train/{number:06d}", label=label), fps=fps, short_side=short_side)
        for label in (first, first + 1)
    )
    return one, other


def test_it_is_a_source() -> None:
    source: Source = SOURCE
    assert source.name == "synthetic"
    assert len(source.classes) == 12


@pytest.mark.parametrize("label", range(12))
def test_frames_are_those_of_the_contract(label: int) -> None:
    item = SOURCE.splits["train"][label]
    info = SOURCE.inspect(item)
    assert (info.width, info.height, info.fps) == (96, 96, 10)
    assert 2 <= info.seconds <= 2.8
    assert info.frames == round(10 * info.seconds)
    frames = decoded(SOURCE, item, fps=5, short_side=96)
    assert frames.shape == (int(info.seconds * 5 + 1e-6), 96, 96, 3)
    assert frames.dtype == np.uint8
    assert frames.flags.c_contiguous


@pytest.mark.parametrize("label", range(12))
def test_the_same_frame_at_any_frame_rate(label: int) -> None:
    item = SOURCE.splits["val"][label]
    all_frames = decoded(SOURCE, item, fps=10, short_side=40)
    assert len(all_frames) == SOURCE.inspect(item).frames
    for fps, step in ((5, 2), (2, 5), (1, 10)):
        frames = decoded(SOURCE, item, fps=fps, short_side=40)
        np.testing.assert_array_equal(frames, all_frames[::step][: len(frames)])
    np.testing.assert_array_equal(decoded(SOURCE, item, fps=0.01, short_side=40), all_frames[:1])


def test_a_rate_above_the_video_s_own_repeats_no_frame() -> None:
    item = SOURCE.splits["train"][0]
    frames = decoded(SOURCE, item, fps=60, short_side=32)
    np.testing.assert_array_equal(frames, decoded(SOURCE, item, fps=10, short_side=32))


def test_a_clip_depends_on_seed_split_and_number_alone() -> None:
    item = SOURCE.splits["train"][7]
    frames = decoded(SOURCE, item, fps=4, short_side=96)
    larger = SyntheticSource(config=SyntheticConfig(train=600, val=60, size=96))
    np.testing.assert_array_equal(frames, decoded(larger, item, fps=4, short_side=96))
    reseeded = SyntheticSource(config=SyntheticConfig(train=48, val=24, size=96, seed=1))
    others = [
        decoded(reseeded, item, fps=4, short_side=96)[0],
        decoded(SOURCE, Item(key="val/000007", label=7), fps=4, short_side=96)[0],
        decoded(SOURCE, Item(key="train/000019", label=7), fps=4, short_side=96)[0],
    ]
    for other in others:
        assert np.abs(frames[0].astype(int) - other).mean() > 5


@pytest.mark.parametrize(("short_side", "side"), [(32, 32), (45, 45), (96, 96), (256, 96)])
def test_the_side_is_as_asked_and_never_enlarged(short_side: int, side: int) -> None:
    frames = decoded(SOURCE, SOURCE.splits["train"][9], fps=1, short_side=short_side)
    assert frames.shape[1:] == (side, side, 3)


def test_smaller_frames_are_averages() -> None:
    item = SOURCE.splits["train"][10]
    large = decoded(SOURCE, item, fps=2, short_side=96).astype(np.float64)
    small = decoded(SOURCE, item, fps=2, short_side=32)
    np.testing.assert_allclose(large.reshape(-1, 32, 3, 32, 3, 3).mean((2, 4)), small, atol=1)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_other_native_sizes(size: int) -> None:
    source = SyntheticSource(config=SyntheticConfig(size=size))
    for item in source.splits["train"][:12]:
        assert decoded(source, item, fps=1, short_side=size).shape[1:] == (size, size, 3)


def test_splits_are_balanced_and_disjoint() -> None:
    splits = SyntheticSource(config=SyntheticConfig(train=1_200, val=610)).splits
    assert splits["train"][123] == Item(key="train/000123", label=3)
    assert set(Counter(item.label for item in splits["train"]).values()) == {100}
    assert set(Counter(item.label for item in splits["val"]).values()) == {50, 51}
    keys = [item.key for split in splits.values() for item in split]
    assert len(set(keys)) == 1_810


def test_the_checksum_is_that_of_the_configuration() -> None:
    config = SyntheticConfig()
    changed = [
        config,
        *(config.model_copy(update={name: 100}) for name in ("train", "val", "size", "seed")),
    ]
    checksums = [SyntheticSource(config=config).checksum() for config in changed]
    assert len(set(checksums)) == 5
    assert all(len(checksum) == 64 for checksum in checksums)
    assert SyntheticSource(config=SyntheticConfig()).checksum() == checksums[0]


def test_clips_for_the_test_change_nothing_of_the_others() -> None:
    config = DataConfig(format="synthetic", synthetic=SyntheticConfig(train=48, val=24, size=96))
    more = config.model_copy(update={"synthetic": SyntheticConfig(train=48, val=24, size=96, test=30)})
    assert open_source(more).checksum() == open_source(config).checksum() == SOURCE.checksum()
    assert open_source(more).splits == open_source(config, splits=SPLITS).splits == SOURCE.splits
    whole = open_source(more, splits=SPLITS)
    assert {split: len(items) for split, items in whole.splits.items()} == {
        "train": 48,
        "val": 24,
        "test": 30,
    }
    test = whole.only(["test"])
    assert len({test.checksum(), whole.checksum(), SOURCE.checksum()}) == 3
    assert open_source(more, splits=["test"]).checksum() == test.checksum()
    frames = [decoded(whole, whole.splits[split][0], fps=2, short_side=32) for split in SPLITS]
    assert not np.array_equal(frames[2], frames[0])
    assert not np.array_equal(frames[2], frames[1])


def test_it_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(SOURCE))
    assert copy == SOURCE
    item = SOURCE.splits["train"][5]
    np.testing.assert_array_equal(
        decoded(copy, item, fps=2, short_side=32), decoded(SOURCE, item, fps=2, short_side=32)
    )


@pytest.mark.parametrize("key", ["train/000048", "val/000024", "test/000000", "train/", "train/-1", "clip"])
def test_a_video_that_the_split_does_not_hold(key: str) -> None:
    with pytest.raises(BadVideo) as caught:
        decoded(SOURCE, Item(key=key, label=0), fps=1, short_side=32)
    assert str(caught.value) == f"missing: {key}"


@pytest.mark.parametrize("first", range(0, 12, 2), ids=CLASSES[::2])
def test_the_classes_of_a_pair_share_their_nuisance(first: int) -> None:
    for number in range(3):
        one, other = same_draws(number, first, fps=2)
        assert not np.array_equal(one, other)
        # Where neither has ink, they are the same picture: backdrop and grain.
        same = (one == other).all(-1).mean()
        assert same > 0.5


@pytest.mark.parametrize("first", MOVING[::2], ids=CLASSES[:8:2])
def test_first_frames_do_not_tell_apart_classes_of_motion(first: int) -> None:
    for number in range(4):
        one, other = same_draws(number, first, fps=5)
        np.testing.assert_array_equal(one[0], other[0])
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("first", MOVING[::2], ids=CLASSES[:8:2])
def test_the_brightness_of_frames_does_not_tell_apart_classes_of_motion(first: int) -> None:
    clips = [same_draws(number, first, fps=2, short_side=32) for number in range(24)]
    one, other = np.array([[clip.mean() for clip in pair] for pair in clips]).T
    assert abs((one - other).mean()) < 0.01 * one.mean()


@pytest.mark.parametrize("first", DETAILED[::2], ids=CLASSES[8::2])
def test_coarse_frames_do_not_tell_apart_classes_of_detail(first: int) -> None:
    for number in range(6):
        one, other = (clip.astype(np.float64) for clip in same_draws(number, first, fps=1))
        fine = np.abs(one - other).mean()
        coarse = np.abs(_blocks(one) - _blocks(other)).mean()
        assert fine > 5 * coarse


def _blocks(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 4, 4, 3): the means of blocks of 24 pixels."""
    return np.asarray(frames.reshape(len(frames), 4, 24, 4, 24, 3).mean((2, 4)))
