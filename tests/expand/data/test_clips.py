from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from expand.config.data import DataConfig
from expand.data.base import MEAN, STD
from expand.data.clips import (
    Augment,
    Share,
    ViewGrid,
    batch_sizes,
    clip_draws,
    clip_order,
    planned_batches,
    train_batches,
    view_batches,
)
from expand.data.flips import flip_swaps
from search_spaces.base import ClipSampling
from tests.expand.data.splits import ArraySplit

PLAIN = Augment(swaps=None)
SMALL = ClipSampling(frames=3, stride=6, size=8)


def pixels(clips: torch.Tensor) -> torch.Tensor:
    """0 … 255 as they were before normalisation."""
    return (clips * STD + MEAN) * 255


def gradient_split(count: int = 6, classes: int = 3, height: int = 24, width: int = 32) -> ArraySplit:
    """Red tells the column, green the row, blue the video."""
    videos = []
    for video in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = np.arange(width) * 6
        frame[..., 1] = np.arange(height)[:, None] * 6
        frame[..., 2] = video
        videos.append(np.repeat(frame[None], 200, axis=0))
    return ArraySplit(videos=tuple(videos), labels=np.arange(count, dtype=np.int64) % classes)


def test_batches_have_their_shapes_and_are_channels_last() -> None:
    batches = list(train_batches(gradient_split(), SMALL, augment=PLAIN, batch_size=4, clips=10, seed=0))
    assert [tuple(clips.shape) for clips, _ in batches] == [(4, 3, 3, 8, 8), (4, 3, 3, 8, 8), (2, 3, 3, 8, 8)]
    for clips, labels in batches:
        assert clips.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_another_device_gets_the_same_batches_read_ahead() -> None:
    settings = {"augment": PLAIN, "batch_size": 4, "clips": 10, "seed": 0}
    here = train_batches(gradient_split(), SMALL, **settings)  # type: ignore[arg-type]
    there = train_batches(gradient_split(), SMALL, device="meta", **settings)  # type: ignore[arg-type]
    for (clips, labels), (placed, same_labels) in zip(here, there, strict=True):
        assert (placed.device.type, placed.shape, placed.dtype) == ("meta", clips.shape, torch.float32)
        assert torch.equal(labels, same_labels)


@given(clips=st.integers(1, 500), batch_size=st.integers(2, 40))
def test_no_batch_has_one_clip(clips: int, batch_size: int) -> None:
    sizes = batch_sizes(clips, batch_size)
    assert sum(sizes) == clips
    assert 1 not in sizes or clips == 1
    assert max(sizes) <= batch_size + 1


def test_one_clip_over_joins_the_batch_before() -> None:
    assert batch_sizes(33, 16) == [16, 17]
    assert batch_sizes(34, 16) == [16, 16, 2]


def test_normalisation() -> None:
    frames = np.zeros((200, 8, 8, 3), np.uint8)
    frames[..., 1], frames[..., 2] = 255, 128
    split = ArraySplit(videos=(frames,), labels=np.zeros(1, np.int64))
    ((clips, _),) = view_batches(split, SMALL, ViewGrid())
    assert clips[0, :, 0, 0, 0].tolist() == pytest.approx(
        [(value / 255 - 0.45) / 0.225 for value in (0, 255, 128)], abs=1e-5
    )


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    augment = Augment(swaps=(0, 1, 2), jitter=(1.0, 1.5))

    def run(seed: int) -> list[torch.Tensor]:
        return [
            clips
            for clips, _ in train_batches(
                gradient_split(), SMALL, augment=augment, batch_size=4, clips=16, seed=seed
            )
        ]

    assert all(torch.equal(one, other) for one, other in zip(run(3), run(3), strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(run(3), run(4), strict=True))


@pytest.mark.parametrize("balanced", [False, True])
def test_going_on_gives_the_clips_of_an_unbroken_run(balanced: bool) -> None:
    augment = Augment(swaps=(0, 1, 2), jitter=(1.0, 1.5))
    settings = {"augment": augment, "clips": 20, "seed": 1, "balanced": balanced}

    def read(first: int, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        batches = list(
            train_batches(gradient_split(), SMALL, first=first, batch_size=batch_size, **settings)  # type: ignore[arg-type]
        )
        return torch.cat([clips for clips, _ in batches]), torch.cat([labels for _, labels in batches])

    whole, rest = read(0, 4), read(8, 6)
    assert torch.equal(whole[0][8:], rest[0])
    assert torch.equal(whole[1][8:], rest[1])


def test_every_video_comes_once_an_epoch() -> None:
    labels = np.arange(7, dtype=np.int64) % 2
    order = list(islice(clip_order(labels, seed=0, balanced=False), 21))
    epochs = [order[i : i + 7] for i in range(0, 21, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@given(counts=st.lists(st.integers(1, 9), min_size=2, max_size=5), seed=st.integers(0, 9))
def test_balanced_order_draws_classes_equally_and_videos_without_replacement(
    counts: list[int], seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    rounds = 20
    order = list(islice(clip_order(labels, seed=seed, balanced=True), rounds * len(counts)))
    for start in range(0, len(order), len(counts)):
        drawn = labels[order[start : start + len(counts)]]
        assert sorted(drawn.tolist()) == list(range(len(counts)))
    times = Counter(order)
    for label, count in enumerate(counts):
        drawn_times = [times[video] for video in np.flatnonzero(labels == label).tolist()]
        assert sum(drawn_times) == rounds
        assert max(drawn_times) - min(drawn_times) <= 1, count


def test_flips_mirror_half_of_the_clips_and_swap_their_labels() -> None:
    augment = Augment(
        swaps=flip_swaps(DataConfig(flip_labels={"left": "right"}), ("left", "right", "up")),
        jitter=(1.0, 1.25),
    )
    flips = 0
    for clips, labels in train_batches(
        gradient_split(), SMALL, augment=augment, batch_size=10, clips=400, seed=0
    ):
        for clip, label in zip(pixels(clips), labels.tolist(), strict=True):
            flipped = bool(clip[0, 0, 0, 0] > clip[0, 0, 0, -1])  # red tells the column
            own = round(clip[2].mean().item()) % 3  # blue tells the video
            assert label == ([1, 0, 2][own] if flipped else own)
            flips += flipped
    assert 160 < flips < 240


def test_flips_can_be_off() -> None:
    augment = Augment(swaps=None, jitter=(1.0, 1.25))
    for clips, _ in train_batches(gradient_split(), SMALL, augment=augment, batch_size=10, clips=50, seed=0):
        assert (clips[:, 0, 0, 0, 0] < clips[:, 0, 0, 0, -1]).all()


def test_jitter_scales_the_short_side_and_crops_everywhere() -> None:
    augment = Augment(swaps=None, jitter=(1.0, 2.0))
    batches = train_batches(gradient_split(), SMALL, augment=augment, batch_size=10, clips=400, seed=0)
    shown = pixels(torch.cat([clips for clips, _ in batches]))[:, :2, 0] / 6  # columns, rows
    across = (shown[:, 0, 0, -1] - shown[:, 0, 0, 0]) / 7 * 8  # how many of the 24 rows the crop shows
    down = (shown[:, 1, -1, 0] - shown[:, 1, 0, 0]) / 7 * 8
    assert torch.allclose(across, down, atol=1.5)  # the aspect ratio is kept
    assert 11 < down.min() < 14
    assert 22 < down.max() < 25
    assert shown[:, 0].min() < 2
    assert shown[:, 0].max() > 30
    assert shown[:, 1].min() < 2
    assert shown[:, 1].max() > 22


def test_networks_of_other_sizes_see_the_same_places() -> None:
    augment = Augment(swaps=(0, 1, 2), jitter=(1.0, 1.5))

    def means(size: int) -> torch.Tensor:
        sampling = ClipSampling(frames=3, stride=6, size=size)
        batches = train_batches(gradient_split(), sampling, augment=augment, batch_size=8, clips=16, seed=0)
        return torch.cat([pixels(clips).mean(dim=(2, 3, 4)) for clips, _ in batches])

    assert torch.allclose(means(8), means(16), atol=1.0)


def test_validation_shows_the_centre_of_every_video() -> None:
    split = gradient_split(count=5)
    batches = list(view_batches(split, SMALL, ViewGrid(clips=2), batch_size=4))
    assert torch.cat([numbers for _, numbers in batches]).tolist() == list(range(10))
    shown = pixels(torch.cat([clips for clips, _ in batches]))[:, :2, 0] / 6
    assert torch.allclose(shown[:, 0].mean(dim=(1, 2)), torch.tensor(15.5), atol=0.3)
    assert torch.allclose(shown[:, 1].mean(dim=(1, 2)), torch.tensor(11.5), atol=0.3)
    assert torch.allclose(shown[:, 0, 0, 0], torch.tensor(5.0), atol=1.0)  # 4 columns are cut on each side


def test_validation_clips_are_spread_in_time() -> None:
    split = ArraySplit.of_seconds([2.0])
    ((clips, _),) = view_batches(split, SMALL, ViewGrid(clips=4), batch_size=8)
    shown = pixels(clips)[:, 0, :, 0, 0]
    starts = (2 - 0.4) * (np.arange(4) + 0.5) / 4
    assert shown.numpy() == pytest.approx(100 * (starts[:, None] + np.arange(3) * 0.2), abs=1.01)


def test_a_video_shorter_than_a_clip_goes_round() -> None:
    split = ArraySplit.of_seconds([0.5])
    sampling = ClipSampling(frames=6, stride=6, size=8)  # every 0.2 s
    ((clips, _),) = view_batches(split, sampling, ViewGrid())
    assert pixels(clips)[0, 0, :, 0, 0].tolist() == pytest.approx([0, 20, 40, 10, 30, 0], abs=0.01)


# Against the obvious way, one clip at a time


def noise_split(sizes: list[tuple[int, int]], frames: int = 50) -> ArraySplit:
    """Random videos of these heights and widths; other pixels in every frame."""
    generator = np.random.default_rng(0)
    videos = tuple(
        generator.integers(0, 256, (frames, height, width, 3), dtype=np.uint8) for height, width in sizes
    )
    return ArraySplit(videos=videos, labels=np.arange(len(sizes), dtype=np.int64))


def triangle(side: int, size: int) -> NDArray[np.float64]:
    """(size, side): the weights of an antialiased bilinear resize."""
    scale = side / size
    centres = (np.arange(size) + 0.5) * scale
    away = np.abs(np.arange(side) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1 - away)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def obvious_clip(
    split: ArraySplit, video: int, draws: NDArray[np.float64], sampling: ClipSampling, augment: Augment
) -> NDArray[np.float64]:
    """(3, T, S, S) of 0 … 255."""
    when, scale, down, across, mirror = draws.tolist()
    frames = split.videos[video]
    seconds = len(frames) / 100
    room = seconds - sampling.span_seconds
    start = when * (room if room > 0 else seconds)
    times = [start + step * sampling.step_seconds for step in range(sampling.frames)]
    _, height, width, _ = frames.shape
    low, high = augment.jitter
    side = round(min(height, width) / (low + scale * (high - low)))
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    clip = []
    for time in times:
        window = frames[int(time * 100 + 1e-6) % len(frames)][top : top + side, left : left + side]
        weights = triangle(side, sampling.size)
        small = np.einsum("iy,yxc,jx->cij", weights, window.astype(np.float64), weights)
        clip.append(small[:, :, ::-1] if augment.swaps is not None and mirror < 0.5 else small)
    return np.stack(clip, axis=1)


@pytest.mark.parametrize("size", [8, 13, 24, 32])
def test_clips_are_those_of_the_obvious_way(size: int) -> None:
    split = noise_split([(24, 32), (33, 24), (25, 25), (24, 61)])
    sampling = ClipSampling(frames=3, stride=4, size=size)
    augment = Augment(swaps=(1, 0, 2, 3), jitter=(1.0, 1.6))
    (batch,) = train_batches(split, sampling, augment=augment, batch_size=24, clips=24, seed=5)
    order = list(islice(clip_order(split.labels, seed=5, balanced=False), 24))
    draws = clip_draws(5, 0, 24)
    for number, (clip, label) in enumerate(zip(*batch, strict=True)):
        wanted = obvious_clip(split, order[number], draws[number], sampling, augment)
        assert np.abs(pixels(clip).numpy() - wanted).max() < 1.6  # two roundings to whole values
        own = int(split.labels[order[number]])
        assert label == ((1, 0, 2, 3)[own] if draws[number, 4] < 0.5 else own)


def test_validation_clips_are_those_of_the_obvious_way() -> None:
    split = noise_split([(24, 31), (33, 24)])
    sampling = ClipSampling(frames=2, stride=3, size=12)
    middle = Augment(swaps=None, jitter=(1.0, 1.0))
    ((clips, _),) = view_batches(split, sampling, ViewGrid(clips=3))
    for place, clip in enumerate(clips):
        video, part = divmod(place, 3)
        draws = np.array([(part + 0.5) / 3, 0, 0.5, 0.5, 1])
        wanted = obvious_clip(split, video, draws, sampling, middle)
        assert np.abs(pixels(clip).numpy() - wanted).max() < 1.6


@given(
    seed=st.integers(0, 2**40), first=st.integers(0, 10**9), counts=st.lists(st.integers(1, 9), min_size=1)
)
def test_a_clip_s_draws_depend_on_seed_and_number_alone(seed: int, first: int, counts: list[int]) -> None:
    whole = clip_draws(seed, first, sum(counts))
    begins = first + np.cumsum([0, *counts[:-1]])
    parts = [clip_draws(seed, int(begin), count) for begin, count in zip(begins, counts, strict=True)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, clip_draws(seed + 1, first, sum(counts)))


def test_draws_are_uniform_and_unlike_each_other() -> None:
    draws = clip_draws(0, 0, 20_000)
    assert draws.shape == (20_000, 5)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert draws.mean(axis=0) == pytest.approx([0.5] * 5, abs=0.01)
    assert np.abs(np.corrcoef(draws.T) - np.eye(5)).max() < 0.03
    assert np.abs(np.corrcoef(draws[:-1].T, draws[1:].T)[:5, 5:]).max() < 0.03


# Steps of a plan, shares of it, and views


def test_steps_may_differ_in_kind_and_number() -> None:
    augment = Augment(swaps=None)
    other = ClipSampling(frames=2, stride=6, size=16)
    batches = list(planned_batches(gradient_split(), [(4, SMALL), (6, other)], augment=augment, seed=0))
    assert [tuple(clips.shape) for clips, _ in batches] == [
        (4, 3, SMALL.frames, SMALL.size, SMALL.size),
        (6, 3, 2, 16, 16),
    ]
    (alone,) = planned_batches(gradient_split(), [(6, other)], augment=augment, seed=0, first=4)
    assert torch.equal(alone[0], batches[1][0])


@pytest.mark.parametrize("ranks", [2, 4])
def test_shares_make_up_the_batch(ranks: int) -> None:
    settings = {"augment": Augment(swaps=(0, 1, 2), jitter=(1.0, 1.5)), "seed": 3}
    ((clips, labels),) = planned_batches(gradient_split(), [(8, SMALL)], **settings)  # type: ignore[arg-type]
    for rank in range(ranks):
        share = Share(rank=rank, ranks=ranks)
        ((own, own_labels),) = planned_batches(
            gradient_split(), [(8, SMALL)], share=share, **settings  # type: ignore[arg-type]
        )  # fmt: skip
        assert torch.equal(own, clips[rank::ranks])
        assert torch.equal(own_labels, labels[rank::ranks])


@given(first=st.integers(0, 40), balanced=st.booleans())
def test_the_order_can_be_entered_anywhere(first: int, balanced: bool) -> None:
    labels = np.arange(7, dtype=np.int64) % 3
    whole = list(islice(clip_order(labels, seed=2, balanced=balanced), first + 10))
    assert list(islice(clip_order(labels, seed=2, balanced=balanced, first=first), 10)) == whole[first:]


@pytest.mark.parametrize(("height", "width"), [(24, 48), (48, 24)])
def test_three_crops_go_along_the_longer_side(height: int, width: int) -> None:
    along = np.arange(48, dtype=np.uint8) * 5
    frame = along[None, :] if width == 48 else along[:, None]
    video = np.broadcast_to(np.broadcast_to(frame, (height, width))[None, :, :, None], (50, height, width, 3))
    split = ArraySplit(videos=(video,), labels=np.zeros(1, np.int64))
    sampling = ClipSampling(frames=1, stride=1, size=16)
    grid = ViewGrid(crops=3, scale=1.5)
    ((clips, numbers),) = view_batches(split, sampling, grid)
    assert numbers.tolist() == [0, 1, 2]
    assert tuple(clips.shape) == (3, 3, 1, 24, 24)  # the larger size
    middles = pixels(clips).mean(dim=(1, 2, 3, 4)) / 5
    assert middles.tolist() == pytest.approx([11.5, 23.5, 35.5], abs=0.1)


def test_the_centre_crop_leaves_a_border_as_training_did() -> None:
    along = np.arange(32, dtype=np.uint8) * 8
    video = np.broadcast_to(along[None, None, :, None], (50, 32, 32, 3))
    split = ArraySplit(videos=(video,), labels=np.zeros(1, np.int64))
    ((clips, _),) = view_batches(split, ClipSampling(frames=1, stride=1, size=16), ViewGrid(scale=2.0))
    shown = pixels(clips)[0, 0, 0, 0] / 8
    assert shown.tolist() == pytest.approx(list(range(8, 24)), abs=0.1)


def test_the_published_views() -> None:
    published = ClipSampling(frames=4, stride=12, size=160)
    assert ViewGrid(clips=10, crops=3, scale=182 / 160).seen(published).size == 182
    assert ViewGrid(clips=10, scale=182 / 160).seen(published) == published
    assert ViewGrid(clips=10, crops=3).count == 30
