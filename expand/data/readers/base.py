"""The contract between a data set's own files and xpand: what a reader says of a folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from expand.config.search import DataConfig
from expand.data.base import Cut, SplitName
from expand.system.errors import UserError
from expand.system.escaping import visible_line

ALWAYS = float("inf")


class Shown(NamedTuple):
    """A class by its name, from when to when it is seen, in seconds; without times, in all of a video."""

    label: str
    start: float = 0.0
    end: float = ALWAYS


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedVideo:
    """A video as a data set lists it.

    Attributes:
        key: names it: its path in the data's folder, or whole where it lies elsewhere; of a part of a video,
            what `part_key` gives.
        shows: its class, or, where videos may have several, all that it shows.
        cut: of a longer video; None: all of the video that `key` names.
        pictures: whether it is a folder of numbered pictures.
    """

    key: str
    shows: tuple[Shown, ...]
    cut: Cut | None = None
    pictures: bool = False

    @property
    def label(self) -> str:
        """Of a video with one."""
        return self.shows[0].label

    @property
    def file(self) -> str:
        """The key of the video that it is in."""
        return self.key if self.cut is None else self.cut.file


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """What was listed or lies there, but is no video of the data.

    Attributes:
        what: in words, with why: `lines that are comments`.
        count: how many there are.
        example: one of them.
    """

    what: str
    count: int
    example: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """What a data set lists.

    Attributes:
        name: what the data is called, such as the folder's name.
        root: the folder that keys are relative to.
        splits: those that it has, of those that were asked for and that these need (`splits_to_read`).
        origins: of each of these, what messages call it: its list or its folder.
        classes: in their order, those without videos too; None: sorted by name.
        several: whether a video may show several classes, or none.
        frames_fps: the frame rate of folders of pictures, where the data set has its own.
        left_out: what was listed, but is none of its videos.
        remarks: what else the user should know, a line each.
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
    """Reads one way in which people list videos. One's own is named as `data.format: module:Class`.

        reader = Ucf101()
        reader.found(Path("UCF101"))                      # True: there is a ucfTrainTestlist/classInd.txt
        listed = reader.read(config, ("train", "val"))    # its splits are train and test: it has no val
        listed.splits["train"][0].label                   # "ApplyEyeMakeup"

    It opens no video. What it does not understand it refuses, by a UserError of one line; what it leaves out
    it counts. Where a data set has no `val`, xpand makes one: of its `test`, or of a share of training.
    """

    def found(self, folder: Path) -> bool:
        """Whether a folder is listed in this way, by the files that are in it."""
        ...

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        """What is listed there.

        Args:
            config: names the folder.
            splits: what is asked for; `splits_to_read` says what has to be read for it.

        Raises:
            UserError: something that is listed cannot be understood.
        """
        ...


def splits_to_read(
    has: Collection[SplitName], asked: Collection[SplitName], config: DataConfig
) -> tuple[SplitName, ...]:
    """Of the splits that a data set has, those to read.

    Training is always one, for its classes; what decides is one where training is asked for, for it may be a
    part of training.
    """
    searched = "train" in asked or "val" in asked
    wanted: dict[SplitName, bool] = {
        "train": True,
        "val": searched,
        "test": "test" in asked or (searched and test_validates(has, config)),
    }
    return tuple(split for split, is_wanted in wanted.items() if is_wanted and split in has)


def test_validates(has: Collection[SplitName], config: DataConfig) -> bool:
    """Whether the videos to test on are those that decide: there are no others, and none are set aside."""
    return "test" in has and "val" not in has and (config.val_share is None or "train" not in has)


def part_key(file: str, start: float, end: float) -> str:
    """What a part of a video is called, such as `long.mp4 1.5-4`."""
    return f"{file} {_seconds(start)}-{_seconds(end)}"


def needed_path(config: DataConfig) -> Path:
    """The data's folder; raises UserError where none is given."""
    if config.path is None:
        raise UserError(
            f"data.format {config.format} needs data.path, the folder of the videos, got nothing."
        )
    return config.path


def data_name(root: Path) -> str:
    """What data in a folder is called."""
    return visible_line(root.resolve().name)


def left_out(what: str, found: Sequence[str]) -> Iterable[LeftOut]:
    """One for all of these, or nothing where there are none."""
    return [LeftOut(what=what, count=len(found), example=found[0])] if found else []


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
