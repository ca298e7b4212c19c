"""Decoding by PyAV alone; a module of its own with few imports, so that its processes start fast."""

from __future__ import annotations

from collections.abc import Sequence

import av


def decode_all(_: None, paths: Sequence[str]) -> None:
    """Decode every frame of these videos on one thread, and discard them."""
    for path in paths:
        with av.open(path) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for _frame in container.decode(video=0):
                pass
