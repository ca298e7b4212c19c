"""One step of a training, and a validation.

Shapes: B clips in a batch, T frames, S × S pixels, C classes.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.config.search import TrainingConfig
from expand.data.base import Split
from expand.data.clips import ViewGrid
from expand.jobs.job import LabelCount
from expand.training.devices import Precision, autocast, place_clips
from expand.training.graphs import Graphed, read_later
from expand.training.losses import Read
from expand.training.prediction import Activation, Viewing, view_means
from expand.training.processes import without_exchange
from search_spaces.base import ClipSampling


class Step(Protocol):
    """One optimizer step after another; each call gives the mean loss before its step, once it is read."""

    def __call__(self, clips: Tensor, labels: Tensor) -> Read: ...


def make_optimizer(network: nn.Module, recipe: TrainingConfig | FullConfig) -> torch.optim.SGD:
    """SGD whose weight decay leaves out BatchNorm and biases: all parameters with one dimension.

    On the CPU and on CUDA it is a single kernel for many parameters. On CUDA the learning rate is on the
    device too, where a recorded step (graphs.py) finds the new one: it is changed by `set_learning_rate`.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    cuda = all(p.is_cuda for p in parameters)
    cpu = all(p.is_cpu for p in parameters)
    return torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=torch.tensor(recipe.learning_rate, device="cuda") if cuda else recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        fused=cuda or cpu or None,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def make_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_function: nn.Module,
    *,
    device: str,
    micro_batch: int,
    gradient_clip: float | None = None,
    precision: Precision = "auto",
    graphs: bool = True,
) -> Step:
    """The fastest way on this device to make one step after another of `training_step`'s maths.

    On CUDA a call does not wait for its step, which is part of a CUDA graph where that can be (`graphs`: may
    be); and a loss that is no number spoils the weights.
    """

    def step(clips: Tensor, labels: Tensor) -> Read:
        loss = training_step(
            network,
            optimizer,
            loss_function,
            clips,
            labels,
            device=device,
            micro_batch=micro_batch,
            gradient_clip=gradient_clip,
            precision=precision,
        )
        return lambda: loss

    def queue(clips: Tensor, labels: Tensor) -> Tensor:
        losses = _gradients(network, optimizer, loss_function, clips, labels, device, micro_batch, precision)
        _update(network, optimizer, gradient_clip)
        return torch.stack(losses).sum()

    if device != "cuda":
        return step
    made = Graphed(queue) if graphs else queue
    return lambda clips, labels: read_later(made(_pinned(clips), _pinned(labels)))


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_function: nn.Module,
    clips: Tensor,
    labels: Tensor,
    *,
    device: str,
    micro_batch: int,
    gradient_clip: float | None = None,
    precision: Precision = "auto",
) -> float:
    """One optimizer step on (B, 3, T, S, S) clips, `micro_batch` at a time; the mean loss before it.

    A loss that is no number changes no weight.
    """
    losses = _gradients(network, optimizer, loss_function, clips, labels, device, micro_batch, precision)
    total = sum(float(loss) for loss in losses)
    if math.isfinite(total):
        _update(network, optimizer, gradient_clip)
    return total


def _gradients(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_function: nn.Module,
    clips: Tensor,
    labels: Tensor,
    device: str,
    micro_batch: int,
    precision: Precision,
) -> list[Tensor]:
    """Leave the gradient of the mean loss in the parameters; the share of each part in that loss."""
    optimizer.zero_grad(set_to_none=True)
    losses: list[Tensor] = []
    parts = parts_of(len(clips), micro_batch)
    for part, part_labels in zip(clips.tensor_split(parts), labels.tensor_split(parts), strict=True):
        last = len(losses) == parts - 1
        with nullcontext() if last else without_exchange(network):
            with autocast(device, precision):
                logits = network(place_clips(part, device))  # (B, C)
                targets = part_labels.to(device, non_blocking=True)
                loss = loss_function(logits.float(), targets) * (len(part) / len(clips))
            loss.backward()
        losses.append(loss.detach())
    return losses


def parts_of(clips: int, most: int) -> int:
    """In how many equal parts a batch is taken, of at most so many clips.

    Where one would have a single clip, which BatchNorm may be unable to do with, its neighbour takes it over.
    """
    parts = -(-clips // most)
    return parts if most == 1 or clips // parts > 1 else max(1, clips // 2)


def _update(network: nn.Module, optimizer: torch.optim.Optimizer, gradient_clip: float | None) -> None:
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
    optimizer.step()


def _pinned(x: Tensor) -> Tensor:
    """Where a GPU can fetch it while the processor goes on."""
    return x.pin_memory() if x.is_cpu else x


def choose_loss(labels: LabelCount, label_smoothing: float) -> nn.Module:
    """Return the loss of logits: cross-entropy, or for several labels a clip, a binary one a class."""
    if labels == "several":
        return nn.BCEWithLogitsLoss()
    return nn.CrossEntropyLoss(label_smoothing=label_smoothing)


def validate(
    network: nn.Module,
    split: Split,
    sampling: ClipSampling,
    recipe: TrainingConfig,
    *,
    device: str,
    batch_size: int | None = None,
    activation: Activation = "softmax",
) -> NDArray[np.float64]:
    """(V, C) probabilities of a split's videos: those of each video's uniform clips are averaged.

    Args:
        network: on its device.
        split: the videos.
        sampling: the network's clips.
        recipe: how many clips of each video.
        device: where the network is.
        batch_size: clips at a time; None: two of the recipe's batches.
        activation: what makes its logits probabilities.

    Raises:
        Diverged: a probability is not finite.
    """
    viewing = Viewing(
        sampling=sampling,
        views=ViewGrid(clips=recipe.val_clips),
        batch_size=batch_size or 2 * recipe.batch_size,
        device=device,
    )
    return view_means(network, split, viewing, activation)
