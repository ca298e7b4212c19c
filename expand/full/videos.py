"""Opens the decoded videos of a full training or a test, and checks that they have labels by time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from expand.config.data import DataConfig
from expand.data.base import Source
from expand.data.cache import open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.labelled import Videos
from expand.data.labels import Segment
from expand.data.progress import OnProgress
from expand.data.sources import segments_of
from expand.system.errors import UserError
from search_spaces.base import ClipSampling


def check_frames(source: Source) -> None:
    """Raises UserError if no video has labels with times."""
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
    """The decoded videos for a network; videos that are not in the cache are decoded now.

    Args:
        source: the videos; only those of its splits are decoded.
        data: the settings of the data.
        sampling: the clips that the network is trained on.
        views: the evenly spaced clips of the videos that it is validated or tested on.
        processes: number of processes that decode.
        on_progress: called with the progress of decoding.

    Raises:
        UserError: too many videos are bad, or the disk has no room for the decoded frames.
    """
    needs = cache_needs(data, (sampling,), views)
    cached = open_cache(source, needs, data, processes=processes, on_progress=on_progress)
    return Videos(cached=cached, segments=segments_of(source))


def _timed(shown: Iterable[tuple[Segment, ...]]) -> bool:
    return any(np.isfinite(segment.end) for segments in shown for segment in segments)
