"""The X3D network as a torch module.

Shapes: B clips, T frames, H×W pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.factors import MIN_SIZE
from search_spaces.x3d.layers import Block, Head, StageBlocks, Stem

CLASSIFIER_STD = 0.01


class X3D(nn.Module):
    """An X3D network with fresh weights. It takes clips of any length, and of any size from 32 pixels.

        network = X3D(architecture, num_classes=10)
        network(torch.rand(2, 3, 4, 160, 160))  # (2, 10)

    Args:
        architecture: every width and depth; its frames and size are not used.
        num_classes: number of logits.
        head: `clip` gives (B, classes); `frame` pools over space only and gives (B, T, classes).
        dropout: dropout probability before the classifier.
        residual_start: the initial weight of each block's last BatchNorm; with 0, blocks start as their
            shortcuts.
    """

    def __init__(
        self,
        architecture: Architecture,
        num_classes: int,
        *,
        head: Literal["clip", "frame"] = "clip",
        dropout: float = 0.5,
        residual_start: float = 0.0,
    ) -> None:
        super().__init__()
        if head not in ("clip", "frame"):
            raise ValueError(f"head must be 'clip' or 'frame', got {head!r}.")
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        self.architecture = architecture
        self.stem = Stem(architecture.stem_width)
        self.stages = nn.Sequential()
        width = architecture.stem_width
        for stage in architecture.stages:
            self.stages.append(StageBlocks(stage, width))
            width = stage.width
        self.head = Head(
            width,
            architecture.conv5_width,
            architecture.head_width,
            num_classes,
            dropout=dropout,
            per_frame=head == "frame",
        )
        self.reset_parameters(residual_start=residual_start)

    def reset_parameters(self, *, residual_start: float) -> None:
        """Initialise weights: He normal (fan out) for convolutions, normal for the classifier, biases 0."""
        if self.head.classifier.weight.is_meta:
            return  # tensors on the meta device hold no numbers
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                # torch's fan out ignores groups: C·27 for a channelwise 3×3×3. The published networks were
                # initialised with exactly that.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=CLASSIFIER_STD)
            elif isinstance(module, nn.BatchNorm3d):
                module.reset_parameters()
            if isinstance(module, (nn.Conv3d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.constant_(module.project_norm.weight, residual_start)

    def replace_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one, for other classes; all other weights are kept."""
        old = self.head.classifier
        self.head.classifier = nn.Linear(old.in_features, num_classes).to(old.weight)
        nn.init.normal_(self.head.classifier.weight, std=CLASSIFIER_STD)
        nn.init.zeros_(self.head.classifier.bias)

    def forward(self, clips: Tensor) -> Tensor:  # (B, 3, T, H, W)
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # a trace has no sizes as numbers
            _check_clips(clips)
        x = self.stages(self.stem(clips))
        logits: Tensor = self.head(x)
        return logits


def _check_clips(clips: Tensor) -> None:
    if clips.dim() != 5 or clips.shape[1] != 3 or min(clips.shape[3:]) < MIN_SIZE:
        raise ValueError(
            f"clips must be (batch, 3, frames, height, width) of at least {MIN_SIZE}×{MIN_SIZE} pixels, "
            f"got {tuple(clips.shape)}."
        )
