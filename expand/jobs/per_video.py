"""The score and the loss of each validation video, in a small file in the job's folder, beside its result.

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
    """The scores and losses of the V validation videos; NaN for a video without any label.

    Attributes:
        score: (V,) the objective's `per_video`, larger is better; for top-1, 1 if the prediction is right.
        loss: (V,) in nats: −log of the probability of the right class; for videos with several labels, the
            binary cross-entropy, averaged over the classes.
    """

    score: NDArray[np.float16]
    loss: NDArray[np.float16]


def write_per_video(folder: Path, values: PerVideo) -> None:
    """Write the file in one step, so that it is never partial; equal values give equal bytes."""
    with replacing(folder / FILE) as partial, partial.open("wb") as out:
        np.savez_compressed(out, score=values.score, loss=values.loss)


def read_per_video(folder: Path) -> PerVideo | None:
    """The scores and losses in a job's folder; None: the folder has no such file."""
    path = folder / FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return PerVideo(score=arrays["score"], loss=arrays["loss"])
