"""The interface of readers, which turn a data set's own lists into labelled videos."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from expand.config.data import DataConfig
from expand.data.base import Cut, SplitName
from expand.system.errors import UserError
from expand.system.escaping import visible_line

ALWAYS = float("inf")


class LabelSpan(NamedTuple):
    """A class that a video shows from `start` to `end`, in seconds; by default throughout."""

    label: str
    start: float = 0.0
    end: float = ALWAYS


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedVideo:
    """A video as a data set lists it.

    Attributes:
        key: its unique name: the path relative to the data's folder, or the absolute path of a video
            elsewhere; for a part of a video, the result of `part_key`.
        shows: its class, or all classes that it shows in data with several labels a video.
        cut: the part of a longer video that it is; None where it is the whole video `key`.
        pictures: whether it is a folder of numbered pictures.
    """

    key: str
    shows: tuple[LabelSpan, ...]
    cut: Cut | None = None
    pictures: bool = False

    @property
    def label(self) -> str:
        """The class, for data with one label a video."""
        return self.shows[0].label

    @property
    def file(self) -> str:
        """The key of the file that holds the video."""
        return self.key if self.cut is None else self.cut.file


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Lines or files that are not used, counted by reason.

    Attributes:
        what: the reason in words, such as `lines that are comments`.
        count: the number of them.
        example: one of them.
    """

    what: str
    count: int
    example: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """The labelled videos that a data set lists.

    Attributes:
        name: the name of the data, such as the folder's name.
        root: the folder that keys are relative to.
        splits: the videos of each split that was read (see `splits_to_read`).
        origins: the list or folder that each split was read from, for messages.
        classes: all classes in their order, even those without videos; None for sorted by name.
        several: whether a video may have several labels, or none.
        frames_fps: the frame rate of folders of pictures, if the data set defines it.
        left_out: lines and files that are not used.
        remarks: further remarks for the user, a line each.
    """

    name: str
    root: Path
    splits: Mapping[SplitName, tuple[ListedVideo, ...]]
    origins: Mapping[SplitName, str]
    classes: tuple[str, ...] | None = None
    several: bool = False
    frames_fps: float | None = None
    left_out: tuple[LeftOut, ...] = field(default=())
    remarks: tuple[str, ...] = field(default=())


class Reader(Protocol):
    """Reads one format of lists. The user's own reader is named by `data.format: module:Class`.

        reader = Ucf101()
        reader.recognises(Path("UCF101"))                 # True: there is a ucfTrainTestlist/classInd.txt
        listed = reader.read(config, ("train", "val"))    # its splits are train and test: it has no val
        listed.splits["train"][0].label                   # "ApplyEyeMakeup"

    A reader opens no video. Lines that it does not understand raise a UserError of one line; lines that it
    leaves out are counted. Where a data set has no `val`, xpand takes `test` for it, or a share of training.
    """

    def recognises(self, folder: Path) -> bool:
        """Whether a folder is in this format, by the files in it."""
        ...

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        """Read the lists of a data set.

        Args:
            config: the data section of a configuration, which names the folder.
            splits: the requested splits; `splits_to_read` gives those that have to be read for them.

        Raises:
            UserError: a list is missing or cannot be understood.
        """
        ...


def splits_to_read(
    has: Collection[SplitName], asked: Collection[SplitName], config: DataConfig
) -> tuple[SplitName, ...]:
    """Return which of the splits that a data set has must be read for the requested ones.

    Training is always read, for its classes; the validation split is also read where only training is
    requested, since it may be set aside from training.
    """
    searched = "train" in asked or "val" in asked
    wanted: dict[SplitName, bool] = {
        "train": True,
        "val": searched,
        "test": "test" in asked or (searched and test_validates(has, config)),
    }
    return tuple(split for split, is_wanted in wanted.items() if is_wanted and split in has)


def test_validates(has: Collection[SplitName], config: DataConfig) -> bool:
    """Whether the test split serves as validation: there is no `val`, and none is set aside from training."""
    return "test" in has and "val" not in has and (config.val_share is None or "train" not in has)


def part_key(file: str, start: float, end: float) -> str:
    """Return the key of a part of a video, such as `long.mp4 1.5-4`."""
    return f"{file} {_seconds(start)}-{_seconds(end)}"


def needed_path(config: DataConfig) -> Path:
    """Return the data's folder.

    Raises:
        UserError: data.path is not set.
    """
    if config.path is None:
        raise UserError(
            f"data.format {config.format} needs data.path, the folder of the videos, got nothing."
        )
    return config.path


def data_name(root: Path) -> str:
    """Return the name of the data in a folder."""
    return visible_line(root.resolve().name)


def left_out(what: str, entries: Sequence[str]) -> Iterable[LeftOut]:
    """Return one LeftOut for all entries, or nothing where there are none."""
    return [LeftOut(what=what, count=len(entries), example=entries[0])] if entries else []


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
