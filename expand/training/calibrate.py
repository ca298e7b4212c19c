"""How fast this machine trains: a few steps of the cheapest and of the dearest network of a search."""

from __future__ import annotations

import contextlib
import time

import torch
from torch import nn

from expand.forecast import TRAIN_FACTOR, Speed, ends
from expand.search import Candidate
from expand.setup import Setup
from expand.training.devices import place_network, prepare
from expand.training.graphs import WARM_UP
from expand.training.memory import release_memory
from expand.training.trainer import Step, make_optimizer, make_step

_STEPS = 3
_USUAL = 1e-10  # seconds a MAC where nothing can be timed: a core's worth


def calibrate(setup: Setup, *, device: str, threads: int) -> Speed:
    """Seconds of a pass, from the fastest of a few training steps on random clips; data loading left out.

    A network that cannot be trained here is left out too: that is the search's to find and to record.
    """
    timed: list[tuple[int, float]] = []
    for candidate in ends(setup):
        with contextlib.suppress(Exception):
            timed.append((candidate.macs, _pass_seconds(setup, candidate, device, threads)))
    release_memory(device)  # workers in processes of their own need it
    if not timed:
        return Speed(fixed=0.0, per_mac=_USUAL)
    return Speed.through(timed[0], timed[-1])


def _pass_seconds(setup: Setup, candidate: Candidate, device: str, threads: int) -> float:
    prepare(device, threads, seed=0)
    space, recipe = setup.space, setup.config.training
    sampling = space.sampling(candidate.point)
    classes = len(setup.data.classes)
    network = place_network(space.build(space.architecture(candidate.point), classes), device)
    network.train()
    clips = torch.rand(recipe.batch_size, 3, sampling.frames, sampling.size, sampling.size)
    labels = torch.zeros(recipe.batch_size, dtype=torch.int64)
    step = make_step(
        network,
        make_optimizer(network, recipe),
        nn.CrossEntropyLoss(),
        device=device,
        micro_batch=recipe.batch_size,
        gradient_clip=recipe.gradient_clip,
    )
    first = 1 + WARM_UP if device == "cuda" else 1  # slower than those after them
    best = min(_timed(step, clips, labels) for _ in range(first + _STEPS))
    return best / recipe.batch_size / TRAIN_FACTOR


def _timed(step: Step, clips: torch.Tensor, labels: torch.Tensor) -> float:
    started = time.perf_counter()
    step(clips, labels)()
    return time.perf_counter() - started
