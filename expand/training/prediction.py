"""A network's probabilities for the views (clips) of each video, separately or averaged over a video's views.

Shapes: B views in a batch, V videos, T frames in a view, C classes. A network's outputs are (B, C), or
(B, T, C) with a per-frame head.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.data.base import Split
from expand.data.clips import WHOLE, Share, ViewGrid, view_batches
from expand.data.labels import OneLabel, SeveralLabels
from expand.training.devices import Precision, autocast, place_clips
from expand.training.graphs import Function, Graphed
from expand.training.losses import Diverged
from expand.training.memory import out_of_memory
from search_spaces.base import ClipSampling

log = logging.getLogger(__name__)

Activation = Literal["softmax", "sigmoid"]  # for videos with one label, for videos with several


def activation_of(truth: OneLabel | SeveralLabels) -> Activation:
    """The function from logits to probabilities for videos with such labels."""
    return "sigmoid" if isinstance(truth, SeveralLabels) else "softmax"


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewing:
    """The views that a network gets of each video, and how it computes them.

    Attributes:
        sampling: the network's clips.
        views: the grid of views of each video.
        batch_size: views in a forward pass.
        device: the device of the network.
        precision: the precision of products and convolutions.
    """

    sampling: ClipSampling
    views: ViewGrid
    batch_size: int
    device: str
    precision: Precision = "auto"


class InParts:
    """Calls a function on (B, …) clips; if memory runs out, on half as many clips at a time from then on."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._most: int | None = None

    def __call__(self, clips: Tensor) -> Tensor:
        while True:
            most = min(self._most or len(clips), len(clips))
            try:
                found = [self._function(part) for part in torch.split(clips, most)]
                return found[0] if len(found) == 1 else torch.cat(found)
            except (MemoryError, RuntimeError) as error:
                if most == 1 or not out_of_memory(error):
                    raise
            self._most = most // 2
            log.warning("out of memory with %d views at a time, trying %d", most, self._most)


@torch.no_grad()
def view_scores(
    network: nn.Module,
    split: Split,
    viewing: Viewing,
    activation: Activation = "softmax",
    share: Share = WHOLE,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield the indices of views (see `view_batches`) and their probabilities, batch by batch.

    Sets the network to evaluation mode.

    Args:
        network: on the device.
        split: the videos.
        viewing: the views, and how they are computed.
        activation: the function from logits to probabilities.
        share: the share of the views that this process computes.

    Yields:
        (B,) indices of views, and (B, C) or (B, T, C) probabilities.

    Raises:
        Diverged: a probability is not finite.
    """
    device = viewing.device

    def probabilities(clips: Tensor) -> Tensor:
        with autocast(device, viewing.precision):
            logits = network(place_clips(clips, device)).float()
        shares: Tensor = logits.softmax(dim=-1) if activation == "softmax" else logits.sigmoid()
        return shares

    network.eval()
    forward: Function = Graphed(probabilities) if device == "cuda" else InParts(probabilities)
    batches = view_batches(
        split, viewing.sampling, viewing.views, batch_size=viewing.batch_size, share=share, device=device
    )
    for clips, numbers in batches:
        scores = forward(clips).cpu().double().numpy()
        if not np.isfinite(scores).all():
            raise Diverged("the validation scores are not finite")
        yield numbers.numpy(), scores


def view_means(
    network: nn.Module,
    split: Split,
    viewing: Viewing,
    activation: Activation = "softmax",
    share: Share = WHOLE,
) -> NDArray[np.float64]:
    """(V, C) the mean probabilities of each video's views.

    With a `share` of the views, the result is its part of the mean; the parts of all processes add up to the
    mean. The arguments are those of `view_scores`.

    Raises:
        Diverged: a probability is not finite.
    """
    means: NDArray[np.float64] | None = None
    count = viewing.views.count
    for numbers, scores in view_scores(network, split, viewing, activation, share):
        if means is None:
            means = np.zeros((len(split.labels), scores.shape[1]))
        np.add.at(means, numbers // count, scores / count)
    assert means is not None, "a cache never holds an empty split"
    return means
