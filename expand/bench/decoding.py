"""PyAV alone; apart from the rest, so that its processes start as fast as they can."""

from __future__ import annotations

from collections.abc import Sequence

import av


def decode_all(_: None, paths: Sequence[str]) -> None:
    """Every frame of these videos, on one thread, and nothing done with it."""
    for path in paths:
        with av.open(path) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for _frame in container.decode(video=0):
                pass
