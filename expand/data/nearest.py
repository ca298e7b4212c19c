"""Which frames of a video are the nearest to given moments: pure arithmetic on seconds.

F frames in a video, M moments, N frames that are nearest to some of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def boundaries(times: NDArray[np.float64], *, tolerance: float = 1e-6) -> NDArray[np.float64]:
    """(F - 1,) from when on each frame but the first is the nearest.

    That is the middle between two frames. Where a frame stays for long, as in a slide show, its successor is
    not taken before it is about to appear: at most half of the usual distance between two frames before.

    Args:
        times: (F,) when the frames appear, in seconds, rising.
        tolerance: what stamps may be off by their rounding, in seconds: moments so close to the middle are
            the later frame's.
    """
    between = np.diff(times)
    if not len(between):
        return between
    usual = float(np.median(between))
    return np.asarray(times[1:] - np.minimum(between, usual) / 2 - tolerance)


def nearest_frames(
    times: NDArray[np.float64], seconds: float, moments: NDArray[np.float64], *, tolerance: float = 1e-6
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N,) the frames that are nearest to the moments, each once, and (N, 2) their `Decoded.spans`.

        nearest_frames(np.array([0.0, 0.1, 0.2]), 0.3, np.array([0.04, 0.21]))   # frames 0 and 2

    Args:
        times: (F,) when the frames appear, in seconds from the first, rising.
        seconds: of the whole video.
        moments: (M,) in seconds.
        tolerance: see `boundaries`.
    """
    begins = boundaries(times, tolerance=tolerance)
    chosen = np.unique(np.searchsorted(begins, moments, side="right"))
    edges = np.concatenate(([0.0], begins, [max(seconds, times[-1])]))
    return chosen, np.stack((edges[chosen], edges[chosen + 1]), axis=1)
