"""How fast this machine trains: a few steps of two networks of a search, which take seconds."""

from __future__ import annotations

import contextlib
import time

import torch
from torch import nn

from expand.config.search import TrainingConfig
from expand.search.base import Candidate
from expand.search.forecast import TRAIN_FACTOR, Speed, by_cost
from expand.search.setup import Setup
from expand.training.devices import place_clips, place_network, prepare
from expand.training.footprint import FEWEST, halves, way_of
from expand.training.graphs import WARM_UP
from expand.training.losses import Read
from expand.training.memory import release_memory
from expand.training.memory_forecast import measure_by
from expand.training.trainer import Step, make_optimizer, make_step

_STEPS = 3
_ENOUGH = 0.5  # seconds of a network, after which no more steps are made
_USUAL = 1e-10  # seconds a MAC where nothing can be timed: a core's worth
# What a timed step may cost: the four of each network are to take a few seconds, and little memory.
_MOST_MACS = {"cpu": 3e9, "mps": 5e10, "cuda": 5e11}
_MOST_BYTES = {"cpu": 4e8, "mps": 1e9, "cuda": 4e9}


def calibrate(setup: Setup, *, device: str, threads: int) -> Speed:
    """Seconds of a pass, from the fastest of a few training steps on random clips; data loading left out.

    The cheapest network of the search is timed, and the dearest of which a step is short and small; beyond
    that, seconds are extrapolated by multiply-adds. Known error: not measured beyond those networks.
    A network that cannot be trained here is left out too: that is the search's to find and to record.
    """
    timed: list[tuple[int, float]] = []
    for candidate, clips in _chosen(setup, device):
        with contextlib.suppress(Exception):
            timed.append((candidate.macs, _pass_seconds(setup, candidate, clips, device, threads)))
    release_memory(device)  # workers in processes of their own need it
    if not timed:
        return Speed(fixed=0.0, per_mac=_USUAL)
    return Speed.through(timed[0], timed[-1])


def _chosen(setup: Setup, device: str) -> list[tuple[Candidate, int]]:
    """What is timed, on how many clips: whole batches, or as much of the cheapest network as is little."""
    measure, batch = measure_by(setup, way_of(device)), setup.config.training.batch_size
    networks = by_cost(setup)

    def little(candidate: Candidate, clips: int) -> bool:
        macs = TRAIN_FACTOR * clips * candidate.macs
        if macs > _MOST_MACS[device]:
            return False
        return measure(candidate).training(clips, clips) <= _MOST_BYTES[device]

    dearest = next((one for one in reversed(networks) if little(one, batch)), None)
    if dearest is not None:
        return [(networks[0], batch), (dearest, batch)]
    return [(networks[0], part) for part in halves(batch, FEWEST) if little(networks[0], part)][:1]


def _pass_seconds(setup: Setup, candidate: Candidate, batch: int, device: str, threads: int) -> float:
    prepare(device, threads, seed=0)
    space, recipe = setup.space, setup.config.training
    architecture = space.architecture(candidate.point)
    classes = len(setup.data.classes)
    network = place_network(space.build(architecture, classes), device)
    network.train()
    clips = torch.rand_like(space.example(architecture, batch))
    labels = torch.zeros(batch, dtype=torch.int64)
    step = _step(network, recipe, batch, device)
    first = 1 + WARM_UP if device == "cuda" else 1  # slower than those after them
    began, best, done = time.monotonic(), float("inf"), 0
    while done <= first or (done < first + _STEPS and time.monotonic() - began < _ENOUGH):
        best, done = min(best, _timed(step, clips, labels)), done + 1
    return best / batch / TRAIN_FACTOR


def _step(network: nn.Module, recipe: TrainingConfig, batch: int, device: str) -> Step:
    """A training step; on the CPU without the update: it takes no time, but importing optimizers seconds."""
    loss_function = nn.CrossEntropyLoss()
    if device != "cpu":
        return make_step(
            network,
            make_optimizer(network, recipe),
            loss_function,
            device=device,
            micro_batch=batch,
            gradient_clip=recipe.gradient_clip,
        )

    def step(clips: torch.Tensor, labels: torch.Tensor) -> Read:
        network.zero_grad(set_to_none=True)
        loss = loss_function(network(place_clips(clips, device)), labels)
        loss.backward()
        return lambda: float(loss.detach())

    return step


def _timed(step: Step, clips: torch.Tensor, labels: torch.Tensor) -> float:
    started = time.perf_counter()
    step(clips, labels)()
    return time.perf_counter() - started
