"""A check of the properties that every reader must have, xpand's and the user's own."""

from __future__ import annotations

from pathlib import PurePath

from expand.config.data import DataConfig
from expand.data.base import SPLITS
from expand.data.readers.base import Listed, Reader


def check_reader(reader: Reader, config: DataConfig) -> Listed:
    """Read a data set, check the properties of readers, and return the listed videos.

    Args:
        reader: the reader to check.
        config: names data in the reader's format, with at least one training video.

    Raises:
        AssertionError: a property does not hold; the message says which.
    """
    listed = reader.read(config, SPLITS)
    assert reader.read(config, SPLITS) == listed, "must list the same each time"
    assert listed.splits.get("train"), "must list videos to train on"
    assert listed.splits.keys() <= listed.origins.keys(), "must say where each split was listed"
    searched = reader.read(config, ("train", "val"))
    assert searched.splits["train"] == listed.splits["train"], "must list the same, whatever is asked for"
    assert "test" not in searched.splits or "val" not in searched.splits, "must not read a test for a search"
    for split, videos in listed.splits.items():
        keys = [video.key for video in videos]
        assert len(set(keys)) == len(keys), f"must list each video of {split} once"
        for video in videos:
            _check_key(video.file, config)
            assert listed.several or len(video.shows) == 1, f"must give {video.key} one label, or set several"
            if listed.classes is not None:
                unknown = {one.label for one in video.shows} - {*listed.classes}
                assert not unknown, f"must have all labels among its classes, but not {sorted(unknown)}"
    if listed.classes is not None:
        assert len(set(listed.classes)) == len(listed.classes), "must list each class once"
    for out in listed.left_out:
        assert out.count > 0, f"must leave out none of {out.what!r} in silence, nor say so of none"
    return listed


def _check_key(key: str, config: DataConfig) -> None:
    path = PurePath(key)
    assert ".." not in path.parts, f"must not lead outside of the data's folder: {key!r}"
    assert config.allow_outside or not path.is_absolute(), f"must be in the data's folder: {key!r}"
