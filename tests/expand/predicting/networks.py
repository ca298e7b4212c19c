"""Networks whose answers are known: they tell how bright a clip, or each of its frames, is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from expand.predicting.predictor import Predictor
from expand.predicting.preprocessing import Preprocessing
from search_spaces.base import ClipSampling

CLASSES = ("dark", "medium", "bright")


class Brightness(nn.Module):
    """Logits for how near a clip's mean grey is to 50, 100 and 150."""

    def __init__(self, *, per_frame: bool = False) -> None:
        super().__init__()
        self._over = (1, 3, 4) if per_frame else (1, 2, 3, 4)

    def forward(self, clips: Tensor) -> Tensor:
        grey = 255 * (0.225 * clips.mean(dim=self._over) + 0.45)
        return -(grey[..., None] - torch.tensor([50.0, 100.0, 150.0])).abs()


def brightness(
    *, frames: int = 2, stride: int = 6, per_frame: bool = False, short_side: int = 24
) -> Predictor:
    return Predictor(
        name="brightness",
        classes=CLASSES,
        preprocessing=Preprocessing(
            clips=ClipSampling(frames=frames, stride=stride, size=16),
            short_side=short_side,
            scale=1.0,
            activation="sigmoid" if per_frame else "softmax",
            head="frame" if per_frame else "clip",
        ),
        network=Brightness(per_frame=per_frame),
        device="cpu",
    )
