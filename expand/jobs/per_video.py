"""The scores of single validation videos, packed into a text that a measurement carries.

text = pack_scores(scores)      # for top-1 about a bit a video, compressed
unpack_scores(text)             # (V,) float16, in the order of the cache's validation split
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

VideoScores = NDArray[np.float16]  # (V,) larger is better; NaN for a video without any label

_TYPE = np.dtype("<f2")  # the same bytes on every machine


def pack_scores(scores: VideoScores) -> str:
    """The (V,) scores as a text of ASCII letters; equal scores give equal texts."""
    return base64.b64encode(zlib.compress(scores.astype(_TYPE).tobytes(), level=9)).decode("ascii")


def unpack_scores(text: str) -> VideoScores:
    """The (V,) scores that `pack_scores` packed."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=_TYPE).astype(np.float16)
