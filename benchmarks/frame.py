"""What it gains that a single frame is convolved in two dimensions (search_spaces/x3d/layers.py)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import nn

from expand.config import TrainingConfig
from expand.training.trainer import make_optimizer, place_network, prepare, training_step
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.layers import Conv

_ROUNDS, _BATCH = 8, 16


def measure_frame() -> dict[str, Any]:
    """Milliseconds of a step of X2D on one thread, alternating; the minimum of each."""
    prepare("cpu", threads=1, seed=0)
    step = _step(X3DSpace())
    two: list[float] = []
    three: list[float] = []
    for _ in range(1 + _ROUNDS):
        two.append(_milliseconds(step))
        with mock.patch.object(Conv, "forward", nn.Conv3d.forward):
            three.append(_milliseconds(step))
    return {
        "unit": "ms a training step of X2D at 112 pixels, 16 clips, one thread",
        "in 2 dimensions": min(two),
        "in 3 dimensions": min(three),
        "ratio": min(three) / min(two),
        "slowest in 2": max(two[1:]),
        "slowest in 3": max(three[1:]),
    }


def _step(space: X3DSpace) -> Callable[[], object]:
    architecture = space.architecture(space.start)
    network = place_network(space.build(architecture, 10), "cpu")
    network.train()
    optimizer = make_optimizer(network, TrainingConfig())
    clips = torch.rand(_BATCH, 3, architecture.frames, architecture.size, architecture.size)
    labels = torch.zeros(_BATCH, dtype=torch.int64)
    loss = nn.CrossEntropyLoss()
    return lambda: training_step(network, optimizer, loss, clips, labels, device="cpu", micro_batch=_BATCH)


def _milliseconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - started)
