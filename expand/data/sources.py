"""Opens the labelled videos that a configuration names: synthetic clips, or files by a reader's lists."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from expand.config.data import DataConfig
from expand.config.spaces import load_own
from expand.data.base import SEARCHED, SPLITS, Item, Source, SplitName
from expand.data.file_source import FileSource
from expand.data.flips import flip_swaps
from expand.data.labels import Segment
from expand.data.leaks import group_of
from expand.data.readers import READERS
from expand.data.readers.base import Listed, ListedVideo, Reader, left_out, test_validates
from expand.data.readers.videos import SUFFIX_NAMES
from expand.data.splitting import stratified_split
from expand.system.errors import UserError
from expand.system.escaping import visible_line

_SHARE = 0.2  # the share of each class that is set aside for validation by default

SplitVideos = Mapping[SplitName, tuple[ListedVideo, ...]]


def open_source(config: DataConfig, *, splits: Sequence[SplitName] = SEARCHED) -> Source:
    """Open the labelled videos that a configuration names.

    Args:
        config: the data section of a configuration.
        splits: the requested splits. The others are empty, and their videos have no influence. The data need
            no training videos unless `train` is requested.

    Raises:
        UserError: the videos do not exist, or their classes and splits cannot be made out.
    """
    source = _synthetic(config, splits) if config.format == "synthetic" else _files(config, splits)
    flip_swaps(config, source.classes)
    return source


def segments_of(source: Source) -> Mapping[str, tuple[Segment, ...]] | None:
    """Return the labelled segments of each video by key; None where every video has one label."""
    return source.segments if isinstance(source, FileSource) else None


def shown_labels(source: Source, item: Item) -> frozenset[int]:
    """Return the classes that a video shows."""
    segments = segments_of(source)
    return frozenset([item.label] if segments is None else (one.label for one in segments[item.key]))


def _synthetic(config: DataConfig, splits: Sequence[SplitName]) -> Source:
    from expand.data.synthetic import SyntheticSource

    drawn = SPLITS if config.synthetic.test else SEARCHED
    return SyntheticSource(config=config.synthetic, shown=tuple(one for one in drawn if one in splits))


def check_given(config: DataConfig) -> None:
    """Check that videos are named and that their folder is there, which costs nothing.

    Raises:
        UserError: they are not.
    """
    if config.format == "synthetic":
        return
    if config.path is None and not _lists_given(config):
        raise UserError(
            "data.path must name the folder of the videos, got nothing: set data.path, data.train (a list), "
            "or data.format: synthetic."
        )
    if config.path is not None and not config.path.is_dir():
        raise UserError(f"data.path must be a folder, got {config.path}: no such folder.")


def _files(config: DataConfig, splits: Sequence[SplitName]) -> Source:
    check_given(config)
    listed = _once(_reader(config).read(config, splits))
    videos, notes = _divided(listed, config, splits)
    videos = _shared(listed, videos, config)
    _check_filled(listed, videos, splits)
    source = _source(listed, videos, splits, config)
    return replace(source, notes=(*_left_out(listed), *listed.remarks, *notes))


def _lists_given(config: DataConfig) -> bool:
    return any(path is not None for path in (config.train, config.val, config.test))


def _reader(config: DataConfig) -> Reader:
    """Return the reader that data.format names, or for `auto` the first that recognises the folder."""
    if config.format in READERS:
        return _own(config.format)
    if config.format != "auto":
        return _users(config.format)
    if config.train is not None or config.path is None:
        return _own("list")
    readers = (_own(name) for name in READERS)
    return next(reader for reader in readers if reader.recognises(config.path))


def _own(name: str) -> Reader:
    module, _, kind = READERS[name].partition(":")
    reader: Reader = getattr(importlib.import_module(module), kind)()
    return reader


def _users(name: str) -> Reader:
    known = f"one of auto, synthetic, {', '.join(READERS)}"
    reader: Reader = load_own(name, Reader, "reader", "data.format", known)
    return reader


def _once(listed: Listed) -> Listed:
    """Drop repeated videos within a split.

    Raises:
        UserError: a video is listed twice in a split with different labels.
    """
    splits, out = {}, [*listed.left_out]
    for split, videos in listed.splits.items():
        kept: dict[str, ListedVideo] = {}
        repeated = []
        for video in videos:
            if (first := kept.setdefault(video.key, video)) is not video:
                repeated.append(video.key)
                if first != video:
                    raise UserError(
                        f"{listed.origins[split]} must list {video.key} once, or each time with the same "
                        "labels, "
                        "but it does not: take all but one out."
                    )
        splits[split] = tuple(kept.values())
        out += left_out(f"videos of {split} that are listed again", repeated)
    return replace(listed, splits=splits, left_out=tuple(out))


def _divided(
    listed: Listed, config: DataConfig, splits: Sequence[SplitName]
) -> tuple[SplitVideos, tuple[str, ...]]:
    """Return the videos of each split, and remarks; sets a validation split aside if the lists have none."""
    videos = dict(listed.splits)
    if "val" in videos or not {"train", "val"} & {*splits}:
        return videos, ()
    if test_validates(videos, config):
        videos["val"] = videos.pop("test")
        if "train" not in videos:
            return videos, ()
        return videos, (
            f"the videos to test on ({visible_line(listed.origins['test'])}) decide, as there are no others "
            "for validation: set data.val_share to set some of training aside and keep these for the test",
        )
    whole = videos.get("train", ())
    share = _SHARE if config.val_share is None else config.val_share
    groups = {video.key: group_of(video.file) or video.file for video in whole}
    pairs = [(video.key, "" if listed.several else video.label) for video in whole]
    parts = stratified_split(pairs, share=share, seed=config.split_seed, group=groups.__getitem__)
    by_key = {video.key: video for video in whole}
    videos |= {split: tuple(by_key[key] for key, _ in parts[split]) for split in ("train", "val")}
    together = len(groups) - len(set(groups.values()))
    if not together:
        return videos, ()
    return videos, (
        "validation was set aside in whole groups of videos that belong together, by UCF101's names or as "
        f"parts of one file: {len(set(groups.values())):,} groups of {len(groups):,} videos",
    )


def _shared(listed: Listed, videos: SplitVideos, config: DataConfig) -> SplitVideos:
    """Return the videos of each split, of training only the configured share of each class."""
    whole = videos.get("train", ())
    if config.share == 1 or not whole:
        return videos
    pairs = [(video.key, "" if listed.several else video.label) for video in whole]
    parts = stratified_split(pairs, share=1 - config.share, seed=config.split_seed, group=lambda key: key)
    kept = {key for key, _ in parts["train"]}
    return {**videos, "train": tuple(video for video in whole if video.key in kept)}


def _check_filled(listed: Listed, videos: SplitVideos, splits: Sequence[SplitName]) -> None:
    """Check that every requested split has videos.

    Raises:
        UserError: a requested split has none.
    """
    origins = listed.origins
    taught = origins.get("train", str(listed.root))
    if "train" in splits and not listed.splits.get("train"):
        raise UserError(
            f"the data must hold videos to train on, but {taught} has none: look for files that end in "
            f"{SUFFIX_NAMES}."
        )
    if "val" in splits and not videos.get("val"):
        given = next((origins[split] for split in SPLITS[1:] if split in origins), None)
        if given is None:
            raise UserError(
                f"the data must hold videos to decide by, but of {taught} none can be set aside, as each "
                "class has one video or one group of them: add videos, or a list (data.val)."
            )
        raise UserError(
            f"the data must hold videos to decide by, but {given} has none: add some, or take it away and a "
            "share of training is set aside."
        )
    if list(splits) == ["test"] and not videos.get("test"):
        raise UserError(
            f"the data must hold videos to test on, but {listed.root} has none: name a list of them "
            "(data.test), or test on another split."
        )


def _source(
    listed: Listed, videos: SplitVideos, splits: Sequence[SplitName], config: DataConfig
) -> FileSource:
    """Turn listed videos into a source: number the classes, and keep those that have training videos."""
    shown = [split for split in SPLITS if split in splits and split in videos]
    taught: Sequence[SplitName] = ["train"] if videos.get("train") else shown
    trained = {label for split in taught for _, label in _labels(videos[split])}
    for split in shown:
        for key, label in _labels(videos[split]):
            _check_trained(label, key, trained, split)
    order = listed.classes if listed.classes is not None else sorted(trained)
    classes = tuple(name for name in order if name in trained)
    _check_classes(classes, listed, taught)
    number_of = {name: number for number, name in enumerate(classes)}
    chosen = {split: videos[split] if split in shown else () for split in SPLITS}
    everything = [video for split in shown for video in videos[split]]
    return FileSource(
        name=listed.name,
        root=listed.root,
        classes=classes,
        splits={
            split: tuple(
                Item(key=video.key, label=0 if listed.several else number_of[video.label], cut=video.cut)
                for video in own
            )
            for split, own in chosen.items()
        },
        segments={
            video.key: tuple(
                Segment(label=number_of[one.label], start=one.start, end=one.end) for one in video.shows
            )
            for video in everything
        }
        if listed.several
        else None,
        frames_fps=_frames_fps(listed, everything, config),
    )


def _labels(videos: Sequence[ListedVideo]) -> Iterator[tuple[str, str]]:
    """Yield (key, label) for every label of every video."""
    return ((video.key, one.label) for video in videos for one in video.shows)


def _check_trained(label: str, key: str, trained: set[str], split: SplitName) -> None:
    if label not in trained:
        where = "validation" if split == "val" else "the test"
        raise UserError(
            f"every class in {where} must be in training too, but {label!r} ({key}) is not: "
            f"add training videos of it, or take it out of {where}."
        )


def _check_classes(classes: Sequence[str], listed: Listed, taught: Sequence[SplitName]) -> None:
    origin = listed.origins.get(taught[0], listed.root)
    if listed.several and not classes:
        raise UserError(f"the data must have labels to train on, but {origin} has none.")
    if not listed.several and len(classes) < 2 and "train" in taught:
        raise UserError(
            f"the data must have at least 2 classes, but {origin} has 1 ({classes[0]}): "
            "check that each class has its own folder or label."
        )


def _frames_fps(listed: Listed, videos: Sequence[ListedVideo], config: DataConfig) -> float | None:
    """Return the frame rate of folders of pictures; None where no video is one.

    Raises:
        UserError: there are such folders, but neither the settings nor the reader state a frame rate.
    """
    example = next((video.key for video in videos if video.pictures), None)
    if example is None:
        return None
    fps = config.frames_fps or listed.frames_fps
    if fps is None:
        raise UserError(
            f"data.frames_fps must say how many pictures make a second, as {example} is a folder of them: "
            "set it, such as data.frames_fps=30."
        )
    return fps


def _left_out(listed: Listed) -> tuple[str, ...]:
    """Describe the videos that were left out, a line for each reason."""
    return tuple(
        f"left out: {one.what}: {one.count:,}, such as {visible_line(one.example)!r}"
        for one in listed.left_out
    )
