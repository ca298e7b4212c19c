"""The modules of an X3D network: stem, blocks, stages and head.

Shapes: B clips, C channels, T frames, H×W pixels; inputs are (B, C, T, H, W).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from search_spaces.x3d.architecture import Stage
from search_spaces.x3d.kernels import cuda, fused, plain_chosen
from search_spaces.x3d.kernels.tracing import watched
from search_spaces.x3d.split_norm import in_splits, statistics

EPS = 1e-5
MOMENTUM = 0.1


class Conv(nn.Conv3d):
    """A 3D convolution that runs faster implementations with the same result where it can.

    On CUDA a channelwise convolution runs Triton kernels. On the CPU a single frame is convolved in 2D, which
    is exact, as the other temporal taps of the kernel only meet padding. Traces and FLOP counters get the
    plain 3D convolution: a trace may be used for clips of other lengths, and the count is that of the paper.
    """

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W)
        channelwise = self.groups > 1 and self.groups == self.in_channels == self.out_channels
        if channelwise and self.bias is None and cuda.usable(x):
            return cuda.depthwise(x, self.weight, int(self.stride[-1]))
        if plain_chosen() or watched() or not x.is_cpu or x.shape[2] != 1:
            return super().forward(x)
        middle = self.weight[:, :, self.kernel_size[0] // 2]
        stride, padding = self.stride[1:], self.padding[1:]
        assert not isinstance(padding, str), "convolutions here are padded by numbers"
        out = functional.conv2d(x.squeeze(2), middle, self.bias, stride, padding, 1, self.groups)
        return out.unsqueeze(2)


def conv(
    width_in: int,
    width: int,
    kernel: tuple[int, int, int] = (1, 1, 1),
    *,
    halve: bool = False,
    depthwise: bool = False,
    bias: bool = False,
) -> Conv:
    """A convolution padded to keep the shape, or to halve height and width, rounded up."""
    return Conv(
        width_in,
        width,
        kernel,
        stride=(1, 2, 2) if halve else 1,
        padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2),
        groups=width if depthwise else 1,
        bias=bias,
    )


def batch_norm(width: int) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(width, eps=EPS, momentum=MOMENTUM)


class Stem(nn.Module):
    """A spatial convolution, then a channelwise temporal one; nothing between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = conv(3, width, (1, 3, 3), halve=True)
        self.temporal = conv(width, width, (5, 1, 1), depthwise=True)
        self.norm = batch_norm(width)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, T, H, W)
        norms = [self.norm]
        if not x.requires_grad and fused.usable(x, self, norms, [self.norm.num_features]):
            weights = (self.spatial.weight, self.temporal.weight, self.norm.weight, self.norm.bias)
            counted = fused.count_batch(norms)
            return in_splits(
                x,
                norms,
                lambda part, index: fused.stem(part, weights, statistics(self.norm, index), counted),
            )
        x = self.temporal(self.spatial(x))  # (B, C, T, H/2, W/2)
        return functional.relu(self.norm(x))


class SqueezeExcite(nn.Module):
    """Squeeze-excite: scale each channel by a gate computed from the means of all channels."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = conv(width, squeezed, bias=True)
        self.excite = conv(squeezed, width, bias=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W)
        means = x.mean(dim=(2, 3, 4), keepdim=True)  # (B, C, 1, 1, 1)
        gate: Tensor = self.excite(functional.relu(self.squeeze(means)))
        return x * gate.sigmoid()


class ZeroPadded(nn.Module):
    """A shortcut without weights (type A): every second pixel, padded with channels of zeros to `width`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W) to (B, width, T, H/2, W/2)
        x = x[..., ::2, ::2]
        return functional.pad(x, (0, 0, 0, 0, 0, 0, 0, self.width - x.shape[1]))


def _shortcut(stage: Stage, width_in: int) -> Conv | ZeroPadded:
    """Make the shortcut of a stage's first block."""
    return conv(width_in, stage.width, halve=True) if stage.shortcut == "B" else ZeroPadded(stage.width)


class Block(nn.Module):
    """An inverted bottleneck: expand, channelwise 3×3×3, project, and add the shortcut.

    Args:
        stage: the stage that the block belongs to.
        width_in: channels of the input.
        index: position in the stage, from 0; block 0 halves height and width, and blocks 0, 2, 4, … have
            squeeze-excite.
    """

    def __init__(self, stage: Stage, width_in: int, index: int) -> None:
        super().__init__()
        first, inner = index == 0, stage.inner_width
        self.expand = conv(width_in, inner)
        self.expand_norm = batch_norm(inner)
        self.depthwise = conv(inner, inner, (3, 3, 3), halve=first, depthwise=True)
        self.depthwise_norm = batch_norm(inner)
        self.squeeze_excite = SqueezeExcite(inner, stage.squeeze_width) if index % 2 == 0 else None
        self.project = conv(inner, stage.width)
        self.project_norm = batch_norm(stage.width)
        self.shortcut = _shortcut(stage, width_in) if first else None
        self.shortcut_norm = batch_norm(stage.width) if first and stage.shortcut_norm else None

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W)
        norms = [self.expand_norm, self.depthwise_norm, self.project_norm]
        norms += [self.shortcut_norm] if self.shortcut_norm is not None else []
        widths = [self.expand.in_channels, self.expand.out_channels, self.project.out_channels]
        if not isinstance(self.shortcut, ZeroPadded) and fused.usable(x, self, norms, widths):
            return self._forward_fused(x, norms, fused.count_batch(norms))
        shortcut = x
        if self.shortcut is not None:
            shortcut = self.shortcut(shortcut)
        if self.shortcut_norm is not None:
            shortcut = self.shortcut_norm(shortcut)
        x = functional.relu(self.expand_norm(self.expand(x)))  # (B, inner, T, H, W)
        x = self.depthwise_norm(self.depthwise(x))  # (B, inner, T, H/2, W/2) in the first block
        if self.squeeze_excite is not None:
            x = self.squeeze_excite(x)
        x = functional.silu(x)
        x = self.project_norm(self.project(x))
        return functional.relu(x + shortcut)

    def _forward_fused(
        self, x: Tensor, norms: list[nn.BatchNorm3d], counted: tuple[bool, float, float]
    ) -> Tensor:
        parameters, stride = self._parameters_in_order(), int(self.depthwise.stride[-1])

        def run(part: Tensor, index: int) -> Tensor:
            in_order = (*norms[:3], self.shortcut_norm)
            buffers = [tensor for norm in in_order for tensor in statistics(norm, index)]
            return fused.block(part, parameters, buffers, stride, counted)

        return in_splits(x, norms, run)

    def _parameters_in_order(self) -> list[Tensor | None]:
        """Return the parameters in the fused kernel's order; None for parts that the block lacks."""
        se = self.squeeze_excite
        return [
            self.expand.weight,
            *fused.norm_parameters(self.expand_norm),
            self.depthwise.weight,
            *fused.norm_parameters(self.depthwise_norm),
            self.project.weight,
            *fused.norm_parameters(self.project_norm),
            *((None,) * 4 if se is None else se.parameters()),
            self.shortcut.weight if isinstance(self.shortcut, Conv) else None,
            *fused.norm_parameters(self.shortcut_norm),
        ]


class StageBlocks(nn.Module):
    """The blocks of a stage, in a row."""

    def __init__(self, stage: Stage, width_in: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(stage, width_in if index == 0 else stage.width, index) for index in range(stage.depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(x)
        return out


class Head(nn.Module):
    """Pools over the clip, or over each frame of it, and classifies.

    Args:
        width_in: channels of the last stage.
        conv5_width: channels of the convolution before the pool.
        hidden_width: channels of the layer after the pool.
        num_classes: number of logits.
        dropout: dropout probability before the classifier.
        per_frame: pool over space only, for logits of every frame.
    """

    def __init__(
        self,
        width_in: int,
        conv5_width: int,
        hidden_width: int,
        num_classes: int,
        *,
        dropout: float,
        per_frame: bool,
    ) -> None:
        super().__init__()
        self.per_frame = per_frame
        self.conv5 = conv(width_in, conv5_width)
        self.conv5_norm = batch_norm(conv5_width)
        self.hidden = conv(conv5_width, hidden_width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_width, num_classes)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, H, W)
        norms, widths = [self.conv5_norm], [self.conv5.in_channels, self.conv5.out_channels]
        if fused.usable(x, self, norms, widths):
            return self._forward_fused(x, fused.count_batch(norms))
        x = functional.relu(self.conv5_norm(self.conv5(x)))
        x = x.mean(dim=(3, 4) if self.per_frame else (2, 3, 4), keepdim=True)  # (B, C, T or 1, 1, 1)
        x = functional.relu(self.hidden(x))
        x = x.flatten(2).transpose(1, 2)  # (B, T or 1, C)
        x = self.classifier(self.dropout(x))
        return x if self.per_frame else x.squeeze(1)  # (B, T, classes) or (B, classes)

    def _forward_fused(self, x: Tensor, norms: tuple[bool, float, float]) -> Tensor:
        weights = (self.conv5.weight, self.conv5_norm.weight, self.conv5_norm.bias)
        clips, frames = x.shape[0], x.shape[2]
        pooled = in_splits(
            x,
            [self.conv5_norm],
            lambda part, index: fused.pooled(
                part, weights, statistics(self.conv5_norm, index), self.per_frame, norms
            ),
        )
        x = functional.relu(functional.linear(pooled, self.hidden.weight.flatten(1)))  # a 1×1×1 convolution
        x = x.view(clips, frames, -1) if self.per_frame else x
        logits: Tensor = self.classifier(self.dropout(x))
        return logits
