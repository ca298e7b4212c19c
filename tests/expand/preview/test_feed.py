"""The clips that people look at are those that a training and its validation are fed with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expand.config.full import Recipe, released_jitter
from expand.config.search import Config
from expand.data.clips import Augment, ViewGrid, train_batches, view_batches
from expand.data.labelled import Videos
from expand.data.labels import Segment
from expand.data.progress import silent
from expand.preview.feed import (
    Feed,
    chosen_clips,
    chosen_views,
    feed_of_search,
    feed_of_training,
    pixels_of,
    training_clip,
    validation_clip,
)
from search_spaces.base import ClipSampling

SAMPLING = ClipSampling(frames=3, stride=6, size=32)


@pytest.fixture(scope="module")
def config(motions: Path, cache: Path) -> Config:
    data = {"path": motions, "cache": {"folder": cache}, "flip_labels": {"left": "right"}}
    return Config.model_validate({"data": data, "search": {"seed": 3}})


@pytest.fixture(scope="module")
def feed(config: Config) -> Feed:
    return feed_of_search(config, SAMPLING, None, silent)


def test_a_search_s_clips(feed: Feed) -> None:
    assert feed.sampling == SAMPLING
    assert feed.augment == Augment(swaps=(1, 0, 2), jitter=(1.0, 1.25))
    assert (feed.views, feed.seed, feed.balanced) == (ViewGrid(), 3, False)


def test_without_clips_the_longest_that_a_search_may_get_to(config: Config) -> None:
    small = {"space": {"settings": {"size": 32}}, "search": {"targets": ["4M"]}}
    chosen = Config.model_validate({**config.model_dump(), **small})
    feed = feed_of_search(chosen, None, 5, silent)
    assert (feed.sampling.frames > 1, feed.sampling.size, feed.seed) == (True, 32, 5)


def test_a_training_s_clips(config: Config) -> None:
    jitter = released_jitter(SAMPLING)
    values = {"data": config.data.model_dump() | {"jitter": jitter}, "training": {"sampling": "balanced"}}
    feed = feed_of_training(Recipe.model_validate(values), SAMPLING, None, silent)
    assert feed.augment.jitter == jitter
    assert (feed.views, feed.seed, feed.balanced) == (ViewGrid(scale=jitter[0]), 0, True)


@pytest.mark.parametrize("balanced", [False, True])
def test_training_clips_are_those_of_its_batches(feed: Feed, balanced: bool) -> None:
    feed, split = replace(feed, balanced=balanced), feed.videos.cached.train
    batches = train_batches(
        split,
        SAMPLING,
        augment=feed.augment,
        batch_size=4,
        clips=20,
        seed=feed.seed,
        balanced=balanced,
    )
    shown = [training_clip(feed, number) for number in range(20)]
    told = [
        (pixels_of(clip), int(label))
        for clips, labels in batches
        for clip, label in zip(clips, labels, strict=True)
    ]
    for clip, (pixels, label) in zip(shown, told, strict=True):
        assert np.array_equal(clip.frames, pixels)
        assert clip.labels == (feed.videos.classes[label],)
        own = clip.video.split("/")[0]
        mirror = {"left": "right", "right": "left", "up": "up"}[own]
        assert clip.labels == (mirror if clip.mirrored else own,)
        assert clip.end - clip.start == pytest.approx(SAMPLING.span_seconds)
    assert 0 < sum(clip.mirrored for clip in shown) < 20


def test_validation_clips_are_those_of_its_views(feed: Feed) -> None:
    feed = replace(feed, views=ViewGrid(clips=2))
    batches = view_batches(feed.videos.cached.val, SAMPLING, feed.views, batch_size=3)
    seen = [pixels_of(clip) for clips, _ in batches for clip in clips]
    for number, pixels in enumerate(seen):
        clip = validation_clip(feed, number)
        assert np.array_equal(clip.frames, pixels)
        assert clip.labels == (clip.video.split("/")[0],)
        assert (clip.mirrored, clip.number) == (False, number)


def test_each_class_has_its_first_clips_in_the_training_each_of_another_video(feed: Feed) -> None:
    numbers = chosen_clips(feed, 2)
    assert [len(own) for own in numbers] == [2, 2, 2]
    for label, own in enumerate(numbers):
        clips = [training_clip(feed, number) for number in own]
        assert {clip.video.split("/")[0] for clip in clips} == {feed.videos.classes[label]}
        assert len({clip.video for clip in clips}) == 2
    train = len(feed.videos.cached.train)
    assert sorted(number for own in chosen_clips(feed, 99) for number in own) == list(range(train))
    assert chosen_clips(replace(feed, seed=4), 2) != numbers


def test_each_class_has_middle_views_of_validation(feed: Feed) -> None:
    feed = replace(feed, views=ViewGrid(clips=3))
    labels = feed.videos.cached.val.labels
    for label, own in enumerate(chosen_views(feed, 99)):
        assert sorted(own) == (3 * np.flatnonzero(labels == label) + 1).tolist()


def test_a_clip_of_a_video_with_several_labels_has_those_that_it_shows(feed: Feed) -> None:
    cached = feed.videos.cached
    keys = (*cached.train.keys, *cached.val.keys)
    both = (Segment(label=0, end=0.3), Segment(label=2, start=0.8))
    videos = Videos(cached=cached, segments=dict.fromkeys(keys, both))
    feed = Feed.of(videos, SAMPLING, augment=Augment(swaps=None), seed=1)
    assert [len(own) for own in chosen_views(feed, 2)] == [2, 0, 2]
    for number in range(8):
        clip = training_clip(feed, number)
        times = clip.start + np.arange(3) * SAMPLING.step_seconds
        shown = [name for name, seen in (("left", times <= 0.3), ("up", times >= 0.8)) if seen.any()]
        assert clip.labels == tuple(shown)


def test_loops_are_told(feed: Feed) -> None:
    long = ClipSampling(frames=3, stride=30, size=32)
    assert training_clip(replace(feed, sampling=long), 0).looped
    assert not training_clip(feed, 0).looped
