"""Labelled videos, decoded, with what they show as a network is to say it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from expand.data.base import SplitName
from expand.data.cache_reader import Cached
from expand.data.labels import OneLabel, Segment, SeveralLabels
from expand.system.errors import UserError
from expand.system.files import write_atomic
from search_spaces.base import Json

Labels = OneLabel | SeveralLabels
Segments = Mapping[str, tuple[Segment, ...]]  # what each video shows, by its key


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """A data set whose videos are decoded.

    Attributes:
        cached: its frames.
        segments: what each video shows, by its key; None: every video has one label.
    """

    cached: Cached
    segments: Segments | None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.cached.classes

    def card(self) -> Json:
        """What model files say of the data."""
        return {
            "name": self.cached.name,
            "checksum": self.cached.checksum,
            "train": len(self.cached.train),
            "val": len(self.cached.val),
            "classes": list(self.classes),
        }

    def labels(
        self,
        name: SplitName,
        *,
        per_frame: bool = False,
        swaps: tuple[int, ...] | None = None,
        outputs: Sequence[int] | None = None,
        count: int | None = None,
    ) -> Labels:
        """What the videos of a split show.

        Args:
            name: of the split.
            per_frame: labels for each frame of a clip.
            swaps: for each class, the class of its mirror image.
            outputs: for each class, the network's output that stands for it; None: its own number.
            count: of the network's outputs; None: as many as there are classes.
        """
        split = self.cached.splits[name]
        places = np.array(outputs if outputs is not None else range(len(self.classes)), np.int64)
        if self.segments is None:
            return OneLabel(labels=places[split.labels], swaps=swaps)
        shown = tuple(
            tuple(replace(one, label=int(places[one.label])) for one in self.segments[key])
            for key in split.keys
        )
        return SeveralLabels(
            segments=shown,
            seconds=split.seconds,
            classes=count or len(self.classes),
            per_frame=per_frame,
            swaps=swaps,
        )


class LabelSettings(Protocol):
    """What a recipe says of labels."""

    @property
    def label_smoothing(self) -> float: ...
    @property
    def sampling(self) -> Literal["natural", "balanced"]: ...


def check_recipe(recipe: LabelSettings) -> None:
    """Raises UserError where a recipe is not for clips with several labels."""
    if recipe.label_smoothing or recipe.sampling == "balanced":
        raise UserError(
            "training.label_smoothing must be 0 and training.sampling natural for clips with several labels: "
            "change them."
        )


def write_segments(path: Path, segments: Segments) -> None:
    """Put a file in place that says what each video shows, for the processes that train."""
    listed = {
        key: [[one.label, one.start, None if one.end == inf else one.end] for one in shown]
        for key, shown in segments.items()
    }
    write_atomic(path, json.dumps(listed))


def read_segments(path: Path) -> dict[str, tuple[Segment, ...]]:
    """What `write_segments` has written."""
    return {
        key: tuple(
            Segment(label=label, start=start, end=inf if end is None else end) for label, start, end in shown
        )
        for key, shown in json.loads(path.read_text(encoding="utf-8")).items()
    }
