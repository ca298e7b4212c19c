"""A clip of a video file without xpand: the functions that the snippet of every card has, word for word.

Shapes: T frames in a clip, S the side of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def clip(path: str, given: Mapping[str, Any]) -> NDArray[np.float32]:
    """The centre clip of a video, (1, 3, T, S, S); `given` is the head of the card."""
    with av.open(path) as video:
        times = np.array([frame.time for frame in video.decode(video=0)], np.float64)
    times -= times[0]
    seconds = times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 1 / 30)
    step = given["stride"] / given["fps"]
    start = max(0.0, seconds - step * (given["frames"] - 1)) / 2
    wanted = (start + step * np.arange(given["frames"])) % seconds
    nearest = np.abs(times - wanted[:, None] - 1e-6).argmin(axis=1)
    pictures = {}
    with av.open(path) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number not in nearest:
                continue
            ratio = min(1.0, given["short_side"] / min(frame.width, frame.height))
            width, height = round(frame.width * ratio), round(frame.height * ratio)
            small = np.asarray(
                frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray(), np.uint8
            )
            side = round(min(width, height) / given["scale"])
            left, top = ((room - side + (room > side)) // 2 for room in (width, height))
            pictures[number] = scaled(small[top : top + side, left : left + side], given["size"])
    values = (np.stack([pictures[number] for number in nearest]) / 255 - given["mean"]) / given["std"]
    return np.asarray(values.transpose(3, 0, 1, 2)[None], np.float32)


def scaled(pixels: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """(S, S, 3) bytes scaled to a side of `size`, bilinearly with antialiasing, rounded as torch rounds."""
    side = len(pixels)
    away = np.abs(np.arange(side) + 0.5 - (np.arange(size)[:, None] + 0.5) * side / size)
    weights = np.maximum(0, 1 - away * min(1.0, size / side))
    weights /= weights.sum(axis=1, keepdims=True)
    bits = max(bits for bits in range(23) if 0.5 + weights.max() * 2**bits < 2**15)
    whole, half = np.floor(weights * 2**bits + 0.5).astype(np.int64), 1 << (bits - 1)
    across = (np.einsum("os,hsc->hoc", whole, pixels) + half) >> bits
    return np.asarray((np.einsum("os,swc->owc", whole, across) + half) >> bits, np.int64)
