"""Times a few training steps of networks of a search, to forecast the seconds of its trainings here."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import nn

from expand.config.training import TrainingConfig
from expand.jobs.job import TRAIN_FACTOR
from expand.search.base import Candidate
from expand.search.forecast import Speed, in_turn, likely_rounds
from expand.search.setup import Setup
from expand.training.devices import place_clips, place_network, prepare
from expand.training.footprint import FEWEST, halves, way_of
from expand.training.graphs import WARM_UP
from expand.training.losses import Read
from expand.training.memory import release_memory
from expand.training.memory_forecast import measure_by
from expand.training.trainer import Step, make_optimizer, make_step

_STEPS = 5  # timed steps of each network, at most
_ENOUGH = 0.5  # seconds after which no more steps of a network are timed
# Seconds that a training takes besides its steps, and a search besides its trainings. Measured on two cores,
# with trainings of a second; in long ones, which have more checkpoints, they matter little.
_EACH, _AROUND = 0.5, 6.0
_USUAL = 1e-10  # seconds of a multiply-add on one core, assumed if nothing can be timed
# The most that a timed step may cost, so that the steps of all networks take seconds and little memory.
_MOST_MACS = {"cpu": 1e9, "mps": 5e10, "cuda": 5e11}
_MOST_BYTES = {"cpu": 4e8, "mps": 1e9, "cuda": 4e9}


def calibrate(setup: Setup, *, device: str, threads: int, workers: int = 1) -> Speed:
    """The speed of training here: seconds of a forward pass of one clip, as a line in the multiply-adds.

    The start is timed on random clips, and the candidates of the most expensive round whose steps are all
    short and fit into little memory, since a deep network takes longer than a wide one of the same cost. In
    that round, each axis has been grown in turn. The median of a few steps counts. On a CPU the other workers
    do the same steps meanwhile, as trainings slow each other down. Left out: loading the data, and what a
    training does besides its steps, for which a usual time is assumed.

    Args:
        setup: the search.
        device: where it trains.
        threads: of each training.
        workers: trainings at the same time.

    Known error: for more expensive networks seconds are extrapolated, with an error that was not measured.
    A network whose training raises an exception is left out; the search itself will record its failure.
    """
    timed: list[tuple[int, float]] = []
    for candidate, clips in timed_networks(setup, device):
        with contextlib.suppress(Exception):
            beside = workers - 1 if device == "cpu" else 0
            timed.append((candidate.macs, _pass_seconds(setup, candidate, clips, device, threads, beside)))
    release_memory(device)  # workers in processes of their own need it
    if not timed:
        return Speed(fixed=0.0, per_mac=_USUAL, each=_EACH, around=_AROUND)
    return replace(Speed.fit(timed), each=_EACH, around=_AROUND)


def timed_networks(setup: Setup, device: str) -> list[tuple[Candidate, int]]:
    """The networks to time, with the clips of a step: a whole batch, or a part if all steps are too long."""
    measure, batch = measure_by(setup, way_of(device)), setup.config.training.batch_size
    start, *grown = likely_rounds(setup, wins=in_turn)

    def quick(candidate: Candidate, clips: int) -> bool:
        """Whether a step takes at most `_MOST_MACS` and `_MOST_BYTES`."""
        macs = TRAIN_FACTOR * clips * candidate.macs
        if macs > _MOST_MACS[device]:
            return False
        return measure(candidate).training(clips, clips) <= _MOST_BYTES[device]

    (first, *_) = start.candidates
    if not quick(first, batch):
        return [(first, part) for part in halves(batch, FEWEST) if quick(first, part)][:1]
    several = [round_.candidates for round_ in grown if round_.kind == "expansion"]
    short = [chosen for chosen in several if all(quick(candidate, batch) for candidate in chosen)]
    return [(candidate, batch) for candidate in (first, *(short[-1] if short else ()))]


def _pass_seconds(
    setup: Setup, candidate: Candidate, batch: int, device: str, threads: int, beside: int
) -> float:
    """Seconds of a forward pass of one clip, from the median of a few training steps on `batch` clips.

    As many threads as `beside` says do the same steps meanwhile.
    """
    prepare(device, threads, seed=0)
    step = _step_of(setup, candidate, batch, device)
    first = 1 + WARM_UP if device == "cuda" else 1  # warm-up steps, which are slower
    with _busy([_step_of(setup, candidate, batch, device) for _ in range(beside)]):
        began, times = time.monotonic(), list[float]()
        while len(times) <= first or (len(times) < first + _STEPS and time.monotonic() - began < _ENOUGH):
            times.append(_timed(step))
    return statistics.median(times[first:]) / batch / TRAIN_FACTOR


@contextlib.contextmanager
def _busy(steps: Sequence[Callable[[], object]]) -> Iterator[None]:
    """Repeat each of the steps in a thread of its own until the block ends."""
    over = threading.Event()

    def repeat(step: Callable[[], object]) -> None:
        while not over.is_set():
            step()

    with ThreadPoolExecutor(max(1, len(steps))) as pool:
        try:
            for step in steps:
                pool.submit(repeat, step)
            yield
        finally:
            over.set()


def _step_of(setup: Setup, candidate: Candidate, batch: int, device: str) -> Callable[[], object]:
    """A training step of a candidate on random clips."""
    space, recipe = setup.space, setup.config.training
    architecture = space.architecture(candidate.point)
    classes = len(setup.data.classes)
    network = place_network(space.build(architecture, classes), device)
    network.train()
    clips = torch.rand_like(space.example(architecture, batch))
    labels = torch.zeros(batch, dtype=torch.int64)
    step = _step(network, recipe, batch, device)
    return lambda: step(clips, labels)()


def _step(network: nn.Module, recipe: TrainingConfig, batch: int, device: str) -> Step:
    """A training step; on the CPU its update costs as much as an optimizer's, whose import takes seconds."""
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
    weights = list(network.parameters())
    momentum = [torch.zeros_like(weight) for weight in weights]

    def step(clips: torch.Tensor, labels: torch.Tensor) -> Read:
        network.zero_grad(set_to_none=True)
        loss = loss_function(network(place_clips(clips, device)), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        with torch.no_grad():
            for weight, moved in zip(weights, momentum, strict=True):
                if weight.grad is not None:
                    moved.mul_(recipe.momentum).add_(weight.grad)
                    weight.sub_(moved, alpha=0.0)  # the same work, but the weights stay as they are
        return lambda: float(loss.detach())

    return step


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
