"""Training and validating one network.

Shapes: B clips in a batch, T frames, S × S pixels, C classes, V validation videos.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.config.search import TrainingConfig
from expand.data.base import Split
from expand.data.clips import Augment, ViewGrid, train_batches
from expand.data.labels import OneLabel, SeveralLabels
from expand.training.checkpoints import State
from expand.training.devices import Precision, autocast, place_clips, seed_step
from expand.training.graphs import Graphed, read_later
from expand.training.losses import Losses, Read, Report
from expand.training.processes import without_exchange
from expand.training.schedule import learning_rate_factor
from expand.training.views import Activation, Viewing, view_means
from search_spaces.base import ClipSampling


class Step(Protocol):
    """One optimizer step after another; each call gives the mean loss before its step, once it is read."""

    def __call__(self, clips: Tensor, labels: Tensor) -> Read: ...


class Rates(Protocol):
    """What an optimizer is made of; every recipe has it."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def nesterov(self) -> bool: ...
    @property
    def weight_decay(self) -> float: ...


def make_optimizer(network: nn.Module, recipe: Rates) -> torch.optim.SGD:
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


def train(
    network: nn.Module,
    split: Split,
    sampling: ClipSampling,
    recipe: TrainingConfig,
    augment: Augment,
    *,
    seed: int,
    device: str,
    micro_batch: int,
    report: Report,
    targets: OneLabel | SeveralLabels | None = None,
    state: State | None = None,
    save: Callable[[State], object] | None = None,
) -> float:
    """Spend the recipe's budget on `network`, in place; the mean loss of the last tenth of the clips.

    A step is a function of its number and of the state before it, so a training that goes on from a state
    ends with the numbers of one that was never cut off.

    Args:
        network: on its device.
        split: the videos.
        sampling: the network's clips.
        recipe: how it is trained.
        augment: how the clips are varied.
        seed: of the clips, and of random numbers in the network.
        device: where the network is.
        micro_batch: clips in a forward pass.
        report: is given a Progress for every step.
        targets: what the network is to say of the clips; None: the one label of their video.
        state: what `save` was given when an earlier attempt ended an epoch; None: train from the start.
        save: is given all that it takes to go on, after every epoch but the last.

    Raises:
        Diverged: the loss is not finite.
    """
    epoch = len(split.labels)
    total = budget_clips(recipe, epoch)
    optimizer = make_optimizer(network, recipe)
    step = make_step(
        network,
        optimizer,
        choose_loss("several" if isinstance(targets, SeveralLabels) else "one", recipe.label_smoothing),
        device=device,
        micro_batch=micro_batch,
        gradient_clip=recipe.gradient_clip,
    )
    losses = Losses(total=total, report=report, behind=1 if device == "cuda" else 0)
    clips_seen = step_number = 0
    if state is not None:
        clips_seen, step_number = state["step"], state["steps"]
        losses.restore(state["losses"])
        restore(network, optimizer, state)
    network.train()
    batches = train_batches(
        split,
        sampling,
        augment=augment,
        batch_size=recipe.batch_size,
        clips=total,
        seed=seed,
        balanced=recipe.sampling == "balanced",
        first=clips_seen,
        targets=targets,
        device=device,
    )
    for clips, labels in batches:
        before, clips_seen = clips_seen, clips_seen + len(clips)
        factor = learning_rate_factor(clips_seen / total, recipe.warmup)
        set_learning_rate(optimizer, recipe.learning_rate * factor)
        seed_step(device, step_seed(seed, step_number))
        losses.add(len(clips), step(clips, labels))
        step_number += 1
        if save is not None and before // epoch < clips_seen // epoch and clips_seen < total:
            seen = {"step": clips_seen, "steps": step_number, "losses": losses.state()}
            save(seen | snapshot(network, optimizer))
    return losses.finish()


def choose_loss(labels: Literal["one", "several"], label_smoothing: float) -> nn.Module:
    """Of logits: cross-entropy of clips with one label; of several, a binary one for each class."""
    if labels == "several":
        return nn.BCEWithLogitsLoss()
    return nn.CrossEntropyLoss(label_smoothing=label_smoothing)


def step_seed(*place: int) -> int:
    """Of a step's random numbers: a function of the training's seed and the step's number, and what else."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def snapshot(network: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """A copy of the weights and of what the optimizer remembers, on the CPU, for `restore`."""
    return {"model_state": _on_cpu(network.state_dict()), "optimizer": _on_cpu(optimizer.state_dict())}


def restore(network: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
    network.load_state_dict(state["model_state"])
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # where it was: on CUDA it lies on the device


def _on_cpu(values: Any) -> Any:
    """A copy of nested plain values and tensors that later steps leave alone."""
    if isinstance(values, Tensor):
        return values.detach().to("cpu", copy=True)
    if isinstance(values, dict):
        return {key: _on_cpu(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_on_cpu(value) for value in values]
    return values


def budget_clips(recipe: TrainingConfig, videos: int) -> int:
    """The training clips that a recipe pays for."""
    return recipe.clips if recipe.clips is not None else max(1, round((recipe.epochs or 0) * videos))


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
