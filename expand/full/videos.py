"""The decoded videos of a full training or a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from expand.config.search import DataConfig
from expand.data.base import Source
from expand.data.cache import OnProgress, open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.labelled import Videos
from expand.data.labels import Segment
from expand.data.sources import segments_of
from expand.system.errors import UserError
from search_spaces.base import ClipSampling


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
