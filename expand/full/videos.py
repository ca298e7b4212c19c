"""Labelled videos, decoded, with what they show as a network is to say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from expand.config.search import DataConfig
from expand.data.base import Source, SplitName
from expand.data.built import Cached
from expand.data.cache import OnProgress, open_cache
from expand.data.labels import OneLabel, Segment, SeveralLabels
from expand.data.needs import EvenClips, cache_needs
from expand.data.sources import segments_of
from expand.system.errors import UserError
from search_spaces.base import ClipSampling, Json

Labels = OneLabel | SeveralLabels


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """A data set whose videos are decoded.

    Attributes:
        cached: its frames.
        segments: what each video shows, by its key; None: every video has one label.
    """

    cached: Cached
    segments: Mapping[str, tuple[Segment, ...]] | None

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


def check_frames(source: Source) -> None:
    """Raises UserError where the videos have no labels by time."""
    segments = segments_of(source)
    if segments is None or not _timed(segments.values()):
        raise UserError(
            "training.head: frame needs labels by time, as data.format charades and multi-label have them, "
            f"but {source.name} has none: add times to its list, or set training.head: clip."
        )


def open_videos(
    source: Source,
    data: DataConfig,
    sampling: ClipSampling,
    views: Sequence[EvenClips],
    *,
    processes: int,
    on_progress: OnProgress,
) -> Videos:
    """The decoded videos for a network with these clips, decoded now where no earlier run has left them.

    Args:
        source: of the videos; only its splits are decoded.
        data: its settings.
        sampling: of the clips that the network is trained on.
        views: all that is seen of videos that it is not trained on.
        processes: that decode.
        on_progress: is told how far it is.

    Raises:
        UserError: too many are bad, or there is no room for them.
    """
    needs = cache_needs(data, (sampling,), views)
    cached = open_cache(source, needs, data, processes=processes, on_progress=on_progress)
    return Videos(cached=cached, segments=segments_of(source))


def _timed(shown: Iterable[tuple[Segment, ...]]) -> bool:
    return any(np.isfinite(segment.end) for segments in shown for segment in segments)
