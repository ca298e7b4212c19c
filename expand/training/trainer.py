"""The optimizer, the training step, and the validation of short trainings.

Shapes: B clips in a batch, T frames, S × S pixels, C classes, V videos.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.config.training import TrainingConfig
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
    """Does an optimizer step in each call; returns a function that reads the mean loss before the step."""

    def __call__(self, clips: Tensor, labels: Tensor) -> Read: ...


def make_optimizer(network: nn.Module, recipe: TrainingConfig | FullConfig) -> torch.optim.Optimizer:
    """The recipe's optimizer; weight decay leaves out parameters with one dimension: BatchNorm's, and biases.

    On the CPU and on CUDA it is the fused one: a single kernel updates many parameters. On CUDA the learning
    rate is a tensor on the device, so that a recorded step (graphs.py) uses the value that
    `set_learning_rate` sets.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    cuda = all(p.is_cuda for p in parameters)
    cpu = all(p.is_cpu for p in parameters)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = torch.tensor(recipe.learning_rate, device="cuda") if cuda else recipe.learning_rate
    if isinstance(recipe, TrainingConfig) and recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=cuda or cpu or None)
    return torch.optim.SGD(
        groups,
        lr=rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        fused=cuda or cpu or None,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters; on CUDA in place, so that recorded steps use it."""
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
    """A function that does training steps, as fast as the device can, with the maths of `training_step`.

    On CUDA, a call returns before its step is done. Then a loss that is not finite also makes the weights not
    finite, since the step cannot be skipped.

    Args:
        network: on the device.
        optimizer: from `make_optimizer`.
        loss_function: maps (B, C) logits and targets to the mean loss.
        device: the device.
        micro_batch: the most clips in a forward pass.
        gradient_clip: the largest norm of the gradient; None: unlimited.
        precision: the precision of products and convolutions.
        graphs: whether steps may be recorded as CUDA graphs.
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
    """Do one optimizer step on (B, 3, T, S, S) clips, and return the mean loss from before the step.

    A loss that is not finite changes no weight. The arguments are those of `make_step`.
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
    """Compute the gradients of the mean loss; returns each micro-batch's summand of the mean loss."""
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
    """The number of nearly equal micro-batches for a batch of `clips` clips, with at most `most` clips each.

    There are fewer, with more clips than `most`, if one would have a single clip, since BatchNorm may need
    two; unless `most` is 1.
    """
    parts = -(-clips // most)
    return parts if most == 1 or clips // parts > 1 else max(1, clips // 2)


def _update(network: nn.Module, optimizer: torch.optim.Optimizer, gradient_clip: float | None) -> None:
    """Clip the gradients, and do the optimizer's step."""
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
    optimizer.step()


def _pinned(x: Tensor) -> Tensor:
    """A tensor in pinned memory, from which the GPU copies while the CPU continues."""
    return x.pin_memory() if x.is_cpu else x


def choose_loss(labels: LabelCount, label_smoothing: float) -> nn.Module:
    """The loss function on logits: cross-entropy; for several labels, binary cross-entropy of each class."""
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
    """(V, C) probabilities of a split's videos, averaged over `recipe.val_clips` evenly spaced clips of each.

    Args:
        network: on the device.
        split: the videos.
        sampling: the network's clips.
        recipe: gives the number of clips of each video, and the batch size.
        device: the device.
        batch_size: clips in a forward pass; None: twice the recipe's batch size.
        activation: the function from logits to probabilities.

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
