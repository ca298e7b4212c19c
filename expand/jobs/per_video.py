"""What a training gave each validation video: a small file in the job's folder, beside its result.

write_per_video(folder, PerVideo(score=…, loss=…))      # videos.npz: at most 4 bytes a video
read_per_video(folder).score                            # (V,) in the order of the cache's validation split
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from expand.system.files import replacing

FILE = "videos.npz"


@dataclass(frozen=True, kw_only=True, slots=True)
class PerVideo:
    """A number for each of the V validation videos; NaN where a video has no label.

    Attributes:
        score: (V,) what the objective keeps of each, larger is better; of top-1, 1 where it is right.
        loss: (V,) −log of the probability given to the right class, in nats; of several labels, the mean over
            the classes of −log of the probability given to what is so.
    """

    score: NDArray[np.float16]
    loss: NDArray[np.float16]


def write_per_video(folder: Path, values: PerVideo) -> None:
    """Put the file in place, whole; equal values give equal bytes."""
    with replacing(folder / FILE) as partial, partial.open("wb") as out:
        np.savez_compressed(out, score=values.score, loss=values.loss)


def read_per_video(folder: Path) -> PerVideo | None:
    """What the job of a folder gave each video; None: there is no such file."""
    path = folder / FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return PerVideo(score=arrays["score"], loss=arrays["loss"])
