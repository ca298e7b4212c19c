"""Finds the frames of a video that are nearest to given moments, by arithmetic on seconds.

Shapes: F frames in a video, M moments, N frames that are nearest to at least one of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def boundaries(times: NDArray[np.float64], *, tolerance: float = 1e-6) -> NDArray[np.float64]:
    """Return, for each frame but the first, the time from which on it is the nearest, (F - 1,).

    That is midway between two frames. Where a frame is shown for long, as in a slide show, its successor
    counts as nearest only from half the median frame distance before it appears.

    Args:
        times: (F,) when the frames appear, in seconds, rising.
        tolerance: rounding error of the time stamps, in seconds; moments that are within it of the middle go
            to the later frame.
    """
    between = np.diff(times)
    if not len(between):
        return between
    usual = float(np.median(between))
    return np.asarray(times[1:] - np.minimum(between, usual) / 2 - tolerance)


def nearest_frames(
    times: NDArray[np.float64], seconds: float, moments: NDArray[np.float64], *, tolerance: float = 1e-6
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the frames nearest to the moments, each once, (N,), and their `Decoded.spans`, (N, 2).

        nearest_frames(np.array([0.0, 0.1, 0.2]), 0.3, np.array([0.04, 0.21]))   # frames 0 and 2

    Args:
        times: (F,) when the frames appear, in seconds from the first, rising.
        seconds: duration of the video.
        moments: (M,) in seconds.
        tolerance: see `boundaries`.
    """
    begins = boundaries(times, tolerance=tolerance)
    nearest = np.unique(np.searchsorted(begins, moments, side="right"))
    edges = np.concatenate(([0.0], begins, [max(seconds, times[-1])]))
    return nearest, np.stack((edges[nearest], edges[nearest + 1]), axis=1)
