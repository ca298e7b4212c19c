"""Benchmarks of the closed-form cost and of planning a round, against torch's FLOP counter."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from expand.bench.harness import Comparison, Figures, Timing, alternate
from expand.search.base import Candidate, Problem, Scored
from expand.search.expansion import Expansion
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.factors import PUBLISHED

_CLASSES = 400
LAST_TARGET = 5_000_000_000  # multiply-adds: a step past X3D-M
_COUNTS = 500  # closed-form counts in a timed turn


def measure_count(*, rounds: int) -> Figures:
    """Measure the microseconds of counting each published network, by the closed form and by torch.

    Torch builds the network on the meta device, where nothing is computed, and counts the operations of one
    forward pass.
    """
    space = X3DSpace()
    rows = []
    for name in PUBLISHED:
        architecture = space.architecture(published(name).factors)
        calls: dict[str, Callable[[], object]] = {
            "xpand": partial(space.complexity, architecture, _CLASSES),
            "torch": partial(counted_by_torch, space, architecture),
        }
        timings = alternate(calls, rounds=rounds, scale=1e6, repeats={"xpand": _COUNTS})
        rows.append(Comparison(name=name, timings=timings, baseline="torch"))
    return Figures(
        benchmark="count", unit="µs an architecture", rows=rows, settings={"rounds": rounds}, limit=50.0
    )


def counted_by_torch(space: X3DSpace, architecture: Architecture) -> int:
    """Count the multiply-adds of one clip with torch.utils.flop_counter."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network: nn.Module = space.build(architecture, _CLASSES).eval()
        network(space.example(architecture, 1))
    return int(counter.get_total_flops()) // 2


def measure_plan(*, rounds: int) -> Figures:
    """Measure the milliseconds of planning each round of a search from X2D to past X3D-M.

    Planning solves every axis for twice the cost. The baseline is the time that torch takes just to count the
    resulting candidates, once each.
    """
    planned: dict[str, list[float]] = {}
    by_torch: dict[str, list[float]] = {}
    for _ in range(rounds):
        for number, (seconds, candidates) in enumerate(_planned(), start=1):
            name = f"round {number}"
            planned.setdefault(name, []).append(1e3 * seconds)
            started = time.perf_counter()
            for candidate in candidates:
                counted_by_torch(X3DSpace(), X3DSpace().architecture(candidate.point))
            by_torch.setdefault(name, []).append(1e3 * (time.perf_counter() - started))
    rows = [
        Comparison(
            name=name,
            timings={"xpand": Timing.of(seconds), "torch": Timing.of(by_torch[name])},
            baseline="torch",
        )
        for name, seconds in planned.items()
    ]
    return Figures(benchmark="plan", unit="ms a round", rows=rows, settings={"rounds": rounds}, limit=10.0)


def _planned() -> list[tuple[float, tuple[Candidate, ...]]]:
    """Return, for each round with several candidates, the seconds of planning it, and its candidates."""
    space = X3DSpace()
    search = Expansion().search(Problem(space=space, axes=space.axes, targets=[LAST_TARGET]))
    candidates = next(search).candidates
    rounds: list[tuple[float, tuple[Candidate, ...]]] = []
    while True:
        outcomes = [Scored(score=1 / (1 + place)) for place in range(len(candidates))]
        started = time.perf_counter()
        try:
            candidates = search.send(outcomes).candidates
        except StopIteration:
            return rounds
        if len(candidates) > 1:
            rounds.append((time.perf_counter() - started, tuple(candidates)))
