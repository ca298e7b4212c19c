"""Single clips of a data set, exactly as training and validation get them.

Shapes: V videos in a split, T frames in a clip, S the side of the square crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from expand.config.full import Recipe
from expand.config.search import Config
from expand.data.base import MEAN, SEARCHED, STD, Frames, SplitName
from expand.data.cache import open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.clips import (
    Augment,
    Share,
    ViewGrid,
    clip_draws,
    clip_order,
    planned_batches,
    view_batches,
    view_times,
)
from expand.data.flips import flip_swaps
from expand.data.labelled import Labels, Videos
from expand.data.labels import SeveralLabels
from expand.data.progress import OnProgress
from expand.data.sampling import clip_times, is_looped, train_starts
from expand.data.sources import open_source, segments_of
from expand.full.videos import open_videos
from expand.run.preparation import possible_clips
from expand.system.cores import cores
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """The videos of a training, and how clips are taken from them.

    Attributes:
        videos: the decoded videos.
        sampling: sampling of the clips.
        augment: augmentation of training clips.
        views: views of each video in validation.
        seed: the training's seed.
        balanced: whether training draws every class equally often.
        keys: keys of the videos of each split.
        labels: targets of the clips of each split.
    """

    videos: Videos
    sampling: ClipSampling
    augment: Augment
    views: ViewGrid
    seed: int
    balanced: bool
    keys: Mapping[SplitName, tuple[str, ...]]
    labels: Mapping[SplitName, Labels]

    @classmethod
    def of(
        cls,
        videos: Videos,
        sampling: ClipSampling,
        *,
        augment: Augment,
        views: ViewGrid = ViewGrid(),  # noqa: B008  # frozen
        seed: int = 0,
        balanced: bool = False,
    ) -> Feed:
        return cls(
            videos=videos,
            sampling=sampling,
            augment=augment,
            views=views,
            seed=seed,
            balanced=balanced,
            keys={name: videos.cached.splits[name].keys for name in SEARCHED},
            labels={"train": videos.labels("train", swaps=augment.swaps), "val": videos.labels("val")},
        )

    def shown(self, name: SplitName) -> list[list[int]]:
        """Return the classes that each of the V videos of a split shows."""
        labels = self.labels[name]
        if isinstance(labels, SeveralLabels):
            return [np.flatnonzero(row).tolist() for row in labels.of_videos()]
        return [[label] for label in labels.labels.tolist()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A clip as a network gets it.

    Attributes:
        split: the split of its video.
        video: the key of its video.
        number: its number among the training's clips, or among validation's views, from 0.
        labels: the names of the classes in its target.
        start, end: times of its first and last frame, in seconds.
        seconds: duration of the video.
        mirrored: whether it is flipped left to right.
        looped: whether the video is shorter than the clip, and so is looped.
        frames: (T, S, S, 3) pixels.
    """

    split: SplitName
    video: str
    number: int
    labels: tuple[str, ...]
    start: float
    end: float
    seconds: float
    mirrored: bool
    looped: bool
    frames: Frames


def feed_of_search(
    config: Config, sampling: ClipSampling | None, seed: int | None, on_progress: OnProgress
) -> Feed:
    """Return the feed of a search's candidates, from the cache that the search itself would use.

    Without targets in the config, a search of two steps is assumed or, if `sampling` is given, one whose
    largest clips have this sampling.

    Args:
        config: the search's configuration.
        sampling: sampling of the candidate's clips; None for the longest clips that the search may reach.
        seed: seed of the training; None for the search's first.
        on_progress: called with the progress of decoding.

    Raises:
        UserError: the data does not allow a search.
    """
    possible = possible_clips(config) if config.search.targets or sampling is None else ()
    shown = sampling or max(possible, key=lambda clip: (clip.frames, clip.span_seconds))
    source = open_source(config.data)
    needs = cache_needs(config.data, (*possible, shown))
    cached = open_cache(source, needs, config.data, processes=cores(), on_progress=on_progress)
    swaps = flip_swaps(config.data, cached.classes) if config.data.flip else None
    return Feed.of(
        Videos(cached=cached, segments=segments_of(source)),
        shown,
        augment=Augment(swaps=swaps, jitter=config.data.jitter),
        views=ViewGrid(clips=config.training.val_clips),
        seed=config.search.seed if seed is None else seed,
        balanced=config.training.sampling == "balanced",
    )


def feed_of_training(
    recipe: Recipe, sampling: ClipSampling, seed: int | None, on_progress: OnProgress
) -> Feed:
    """Return the feed of a full training, from the cache that the training itself would use.

    Args:
        recipe: the training's configuration.
        sampling: sampling of the network's clips.
        seed: seed of the training; None for the recipe's.
        on_progress: called with the progress of decoding.

    Raises:
        UserError: the data does not allow a training.
    """
    source = open_source(recipe.data)
    seen = [EvenClips(sampling=sampling, clips=1)]
    videos = open_videos(source, recipe.data, sampling, seen, processes=cores(), on_progress=on_progress)
    swaps = flip_swaps(recipe.data, videos.classes) if recipe.data.flip else None
    return Feed.of(
        videos,
        sampling,
        augment=Augment(swaps=swaps, jitter=recipe.data.jitter),
        views=ViewGrid(scale=recipe.data.jitter[0]),
        seed=recipe.training.seed if seed is None else seed,
        balanced=recipe.training.sampling == "balanced",
    )


def chosen_clips(feed: Feed, count: int) -> list[list[int]]:
    """Return, for each class, the numbers of its first `count` training clips, each of another video."""
    split, shown = feed.videos.cached.train, feed.shown("train")
    videos: list[set[int]] = [set() for _ in feed.videos.classes]
    members = [0] * len(videos)
    for labels in shown:
        for label in labels:
            members[label] += 1
    numbers: list[list[int]] = [[] for _ in videos]
    left = sum(min(count, of_class) for of_class in members)
    order = clip_order(split.labels, seed=feed.seed, balanced=feed.balanced)
    for number, video in enumerate(order):
        if not left:
            break
        for label in shown[video]:
            if len(numbers[label]) < count and video not in videos[label]:
                videos[label].add(video)
                numbers[label].append(number)
                left -= 1
    return numbers


def chosen_views(feed: Feed, count: int) -> list[list[int]]:
    """Return, for each class, the numbers of `count` validation views: the middle ones of random videos."""
    shown = feed.shown("val")
    numbers: list[list[int]] = [[] for _ in feed.videos.classes]
    for video in np.random.default_rng(feed.seed).permutation(len(shown)).tolist():
        for label in shown[video]:
            if len(numbers[label]) < count:
                numbers[label].append(video * feed.views.count + feed.views.count // 2)
    return numbers


def training_clip(feed: Feed, number: int) -> Clip:
    """Return the training clip with this number, from 0."""
    split, sampling = feed.videos.cached.train, feed.sampling
    ((clips, targets),) = planned_batches(
        split,
        [(1, sampling)],
        augment=feed.augment,
        seed=feed.seed,
        balanced=feed.balanced,
        first=number,
        targets=feed.labels["train"],
    )
    order = clip_order(split.labels, seed=feed.seed, balanced=feed.balanced, first=number)
    video = np.fromiter(islice(order, 1), np.int64, 1)
    when, *_, mirror = clip_draws(feed.seed, number, 1)[0].tolist()
    times = clip_times(train_starts(split.seconds[video], sampling, np.array([when])), sampling)
    mirrored = feed.augment.swaps is not None and mirror < 0.5
    return _clip(feed, "train", int(video[0]), number, clips[0], targets[0], times[0], mirrored=mirrored)


def validation_clip(feed: Feed, number: int) -> Clip:
    """Return the validation view with this number, from 0."""
    split, video = feed.videos.cached.val, number // feed.views.count
    times = view_times(split, feed.sampling, feed.views)
    alone = Share(rank=number, ranks=len(times))
    ((clips, _),) = view_batches(split, feed.sampling, feed.views, batch_size=1, share=alone)
    targets = feed.labels["val"](np.array([video]), times[number : number + 1], np.zeros(1, np.bool_))
    return _clip(feed, "val", video, number, clips[0], targets[0], times[number], mirrored=False)


def _clip(
    feed: Feed,
    name: SplitName,
    video: int,
    number: int,
    pixels: Tensor,
    target: Tensor,
    times: NDArray[np.float64],
    *,
    mirrored: bool,
) -> Clip:
    split = feed.videos.cached.splits[name]
    several = feed.videos.segments is not None
    labels = target.nonzero().flatten().tolist() if several else [int(target)]
    seconds = float(split.seconds[video])
    return Clip(
        split=name,
        video=feed.keys[name][video],
        number=number,
        labels=tuple(feed.videos.classes[label] for label in labels),
        start=float(times[0]),
        end=float(times[-1]),
        seconds=seconds,
        mirrored=mirrored,
        looped=is_looped(seconds, feed.sampling),
        frames=pixels_of(pixels),
    )


def pixels_of(clip: Tensor) -> Frames:
    """Invert `expand.data.clips.normalised` for a clip: (3, T, S, S) floats to (T, S, S, 3) bytes."""
    pixels: Frames = clip.mul(STD).add(MEAN).mul(255).round().byte().permute(1, 2, 3, 0).numpy()
    return pixels
