"""Training and validating one network.

Shapes: B clips in a batch, T frames, S × S pixels, C classes, V validation videos.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.config import TrainingConfig
from expand.data.base import Split
from expand.data.clips import Augment, train_batches, val_batches
from expand.jobs import Progress
from expand.training.metrics import Scores, score
from expand.training.schedule import learning_rate_factor
from search_spaces.base import ClipSampling

Report = Callable[[Progress], None]


class Diverged(Exception):
    """The loss stopped being a number."""


def has_device(device: str) -> bool:
    """Whether torch can use cuda, mps or cpu on this machine."""
    if device == "cuda":
        return torch.cuda.is_available()
    return device == "cpu" or torch.backends.mps.is_available()


def best_device() -> str:
    """The device that `auto` stands for on this machine."""
    return next(device for device in ("cuda", "mps", "cpu") if has_device(device))


def prepare(device: str, threads: int, seed: int) -> None:
    """Make what follows a function of its seed: seeds, threads and deterministic algorithms."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(seed)


def place_network(network: nn.Module, device: str) -> nn.Module:
    """The network on its device, channels last: 1.4 to 2 times as fast on CPU as the default layout."""
    network.to(device)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def place_clips(clips: Tensor, device: str) -> Tensor:
    """(B, 3, T, S, S) in the layout of the network."""
    return clips.to(device, memory_format=torch.channels_last_3d, non_blocking=True)


def autocast(device: str) -> AbstractContextManager[object]:
    """bfloat16 on CUDA, where it is faster; full precision on the CPU, where it is slower, and on MPS."""
    if device == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def make_optimizer(network: nn.Module, recipe: TrainingConfig) -> torch.optim.SGD:
    """SGD whose weight decay leaves out BatchNorm and biases: all parameters with one dimension."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
    )


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
) -> float:
    """One optimizer step on (B, 3, T, S, S) clips in parts of `micro_batch`; the mean loss before it."""
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    parts = max(1, len(clips) // micro_batch)  # a clip left over joins a part: BatchNorm needs two
    for part, part_labels in zip(clips.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with autocast(device):
            logits = network(place_clips(part, device))  # (B, C)
            loss = loss_function(logits.float(), part_labels.to(device)) * (len(part) / len(clips))
        loss.backward()
        total += float(loss.detach())
    if math.isfinite(total):
        if gradient_clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
        optimizer.step()
    return total


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
) -> float:
    """Spend the recipe's budget on `network`, in place; the mean loss of the last tenth of the clips.

    Raises:
        Diverged: the loss is not finite.
    """
    total = budget_clips(recipe, len(split.labels))
    optimizer = make_optimizer(network, recipe)
    loss_function = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    network.train()
    batches = train_batches(
        split,
        sampling,
        augment=augment,
        batch_size=recipe.batch_size,
        clips=total,
        seed=seed,
        balanced=recipe.sampling == "balanced",
    )
    clips_seen, last = 0, []
    for step, (clips, labels) in enumerate(batches):
        factor = learning_rate_factor((clips_seen + len(clips)) / total, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        loss = training_step(
            network,
            optimizer,
            loss_function,
            clips,
            labels,
            device=device,
            micro_batch=micro_batch,
            gradient_clip=recipe.gradient_clip,
        )
        if not math.isfinite(loss):
            raise Diverged(f"the training loss is {loss} at step {step}, {clips_seen:,} clips in")
        clips_seen += len(clips)
        if clips_seen > 0.9 * total:
            last.append(loss)
        report(Progress(clips=clips_seen, total=total, loss=loss))
    return float(np.mean(last))


def budget_clips(recipe: TrainingConfig, videos: int) -> int:
    """The training clips that a recipe pays for."""
    return recipe.clips if recipe.clips is not None else max(1, round((recipe.epochs or 0) * videos))


@torch.no_grad()
def validate(
    network: nn.Module, split: Split, sampling: ClipSampling, recipe: TrainingConfig, *, device: str
) -> Scores:
    """Scores on a split: the probabilities of each video's uniform clips are averaged.

    Raises:
        Diverged: a probability is not finite.
    """
    network.eval()
    probabilities: NDArray[np.float64] | None = None
    for clips, videos, _ in val_batches(
        split, sampling, val_clips=recipe.val_clips, batch_size=2 * recipe.batch_size
    ):
        with autocast(device):
            logits = network(place_clips(clips, device))  # (B, C)
        shares = logits.float().softmax(dim=1).cpu().double().numpy()
        if probabilities is None:
            probabilities = np.zeros((len(split.labels), shares.shape[1]))
        np.add.at(probabilities, videos.numpy(), shares / recipe.val_clips)
    assert probabilities is not None, "a cache never holds an empty split"
    if not np.isfinite(probabilities).all():
        raise Diverged("the validation scores are not finite")
    return score(probabilities, split.labels)


def each_micro_batch(batch_size: int) -> Iterator[int]:
    """The batch, its half, … 1: what to try in turn when a device's memory runs out."""
    while batch_size >= 1:
        yield batch_size
        batch_size //= 2
