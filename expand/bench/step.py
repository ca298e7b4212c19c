"""Benchmark of a training step: xpand's implementation against plain modules and other projects."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from expand.bench.harness import Comparison, Figures, alternate
from expand.bench.peers import Peer
from expand.bench.trajectory import TRAJECTORY
from expand.config.training import TrainingConfig
from expand.system.errors import RunFailed, UserError
from expand.training.devices import has_device, place_clips, place_network, prepare
from expand.training.footprint import FEWEST, PLAIN, Footprint, halves
from expand.training.free_memory import free_memory, ran_out
from expand.training.graphs import WARM_UP
from expand.training.trainer import make_optimizer, make_step, parts_of
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.factors import Factors
from search_spaces.x3d.kernels import plain

CLASSES = 10
_SMALL = 64  # pixels, of the clips that gradients are compared on where memory is short
_CHECKED = 4  # clips that gradients are compared on
_FLOAT32_ERRORS = ("float32_error", "plain_float32_error")  # among a row's facts
AGREE = 1e-8  # gradients of the two ways may differ by this share in float64


@dataclass(frozen=True, kw_only=True, slots=True)
class StepData:
    """The data of a step: (B, 3, T, S, S) clips and (B,) labels."""

    clips: Tensor
    labels: Tensor


def measure_step(
    *,
    device: str,
    threads: int,
    batch: int,
    rounds: int,
    peers: Sequence[Peer] = (),
    points: Mapping[str, Factors] | None = None,
) -> Figures:
    """Measure the milliseconds of a training step for each architecture, without data loading.

    A step is the forward pass, the backward pass and the update. The baseline `plain` is the same network
    with the same weights, implemented as in the papers' code: NCDHW layout, nn.Conv3d with groups,
    nn.BatchNorm3d, float32. On the CPU, where xpand computes in float32 too, both must first give the same
    gradients (`check_gradients`).

    Args:
        device: cpu or cuda.
        threads: number of threads.
        batch: number of clips in a step.
        rounds: number of timed steps of each implementation.
        peers: other projects, whose networks are timed in the same turns.
        points: the architectures by name; None for the trajectory, followed by X3D-S on CUDA.

    Raises:
        UserError: the device does not exist.
        RunFailed: memory is too short for every network.
    """
    if not has_device(device):
        raise UserError(f"--device {device} needs a {device} device, but torch sees none on this machine.")
    if points is None:
        points = TRAJECTORY if device == "cpu" else {**TRAJECTORY, "X3D-S": published("x3d-s").factors}
    prepare(device, threads, seed=0)
    rows, missing = [], []
    for name, point in points.items():
        row = _fitting_row(name, point, device, batch, rounds, peers)
        rows += [] if row is None else [row]
        missing += [name] if row is None else []
    if not rows:
        raise RunFailed("out of memory in every network: free some, raise its limit, or lower --batch.")
    settings = {"device": device, "threads": threads, "batch": batch, "rounds": rounds}
    settings |= {f"peer-{peer.name}": "CHECKOUT" for peer in peers}
    return Figures(
        benchmark="step",
        unit="ms a training step",
        rows=rows,
        settings=settings,
        notes=() if device == "cuda" else (_agreement(rows), *_short_of_memory(rows, missing)),
    )


def _short_of_memory(rows: Sequence[Comparison], missing: Sequence[str]) -> list[str]:
    """Describe which networks' batches were split, and which networks were left out, as memory was short."""
    parts = [f"{row.name} {row.facts['part']} clips" for row in rows if "part" in row.facts]
    notes = []
    if parts:
        notes.append(f"memory was short, so each way took fewer clips at a time: {', '.join(parts)}")
    if missing:
        notes.append(f"left out, as memory ran out: {', '.join(missing)}")
    return notes


def _agreement(rows: Sequence[Comparison]) -> str:
    """Describe the largest differences of gradients over all rows."""
    worst = {key: max(row.facts[key] for row in rows) for key in ("gradient_difference", *_FLOAT32_ERRORS)}
    own, other = (f"{worst[key]:.0e}" for key in _FLOAT32_ERRORS)
    return (
        f"gradients agree to {worst['gradient_difference']:.0e} in float64; "
        f"float32 is off from there by {own} at most, in plain modules by {other}"
    )


def _fitting_row(
    name: str, point: Factors, device: str, batch: int, rounds: int, peers: Sequence[Peer]
) -> Comparison | None:
    """Measure a row, with the batch split into as few parts as fit into memory; None where none fit.

    The size of a part is estimated first, and halved when memory runs out nevertheless.
    """
    part = _fitting(point, batch) if device == "cpu" else batch
    for fewer in [] if part is None else halves(part, FEWEST):
        try:
            return _row(name, point, device, batch, rounds, peers, fewer)
        except (MemoryError, RuntimeError) as error:
            if device != "cpu" or not ran_out(error):
                raise
        gc.collect()  # the networks of the failed attempt
    return None


def _row(
    name: str,
    point: Factors,
    device: str,
    batch: int,
    rounds: int,
    peers: Sequence[Peer],
    part: int,
) -> Comparison:
    space = X3DSpace()
    architecture = space.architecture(point)
    data = random_batch(architecture, batch)
    network = space.build(architecture, CLASSES, dropout=0.0, residual_start=1.0)
    facts: dict[str, Any] = {
        "macs": space.complexity(architecture, CLASSES).macs,
        "frames": architecture.frames,
        "size": architecture.size,
    }
    if device == "cpu":
        checked = random_batch(architecture, _CHECKED)
        if part < batch:
            facts["part"] = part
            checked = random_batch(space.resized(architecture, min(_SMALL, architecture.size)), FEWEST)
        facts |= check_gradients(network, checked)
    calls = {
        "xpand": fast_step(copy.deepcopy(network), data, device, part),
        "plain": plain_step(network, data, device, part),
    }
    for peer in peers:
        calls[peer.name] = eager_step(peer.build(architecture, CLASSES), data, device, part)
    return Comparison(
        name=name,
        timings=alternate(calls, rounds=rounds, warm_up=1 if device == "cpu" else 2 + WARM_UP),
        baseline="plain",
        facts=facts,
    )


def _fitting(point: Factors, batch: int) -> int | None:
    """Return how many clips fit into a CPU's memory at a time with plain modules, which need more of it."""
    space = X3DSpace()
    complexity = space.complexity(space.architecture(point), CLASSES)
    found = Footprint.of(complexity, space.sampling(point), PLAIN)
    return found.largest_part(batch, free_memory(torch.get_num_threads()), FEWEST)


def random_batch(architecture: Architecture, batch: int) -> StepData:
    generator = torch.Generator().manual_seed(0)
    clips = X3DSpace().example(architecture, batch).normal_(generator=generator)
    return StepData(clips=clips, labels=torch.arange(batch) % CLASSES)


def fast_step(
    network: nn.Module, data: StepData, device: str, part: int | None = None
) -> Callable[[], object]:
    """Make a step of xpand, as in a candidate's training, with `part` clips at a time; None for all."""
    network = place_network(network, device).train()
    optimizer = make_optimizer(network, TrainingConfig())
    part = part or len(data.labels)
    step = make_step(network, optimizer, nn.CrossEntropyLoss(), device=device, micro_batch=part)
    clips, labels = place_clips(data.clips, device), data.labels.to(device)
    return _finished(lambda: step(clips, labels), device)


def plain_step(
    network: nn.Module, data: StepData, device: str, part: int | None = None
) -> Callable[[], object]:
    """Make a step of the same network with torch's plain modules."""
    step = eager_step(network, data, device, part)

    def call() -> None:
        with plain():
            step()

    return call


def eager_step(
    network: nn.Module, data: StepData, device: str, part: int | None = None
) -> Callable[[], object]:
    """Make a step of any network, with contiguous clips, float32 and SGD."""
    network = network.to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    loss_function = nn.CrossEntropyLoss()
    clips, labels = data.clips.contiguous().to(device), data.labels.to(device)
    parts = parts_of(len(clips), part or len(clips))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for some, theirs in zip(clips.tensor_split(parts), labels.tensor_split(parts), strict=True):
            loss = loss_function(network(some), theirs) * (len(some) / len(clips))
            loss.backward()
        optimizer.step()

    return _finished(step, device)


def _finished(step: Callable[[], object], device: str) -> Callable[[], object]:
    """Wait for the GPU at the end of a step, as it works on after the call."""
    if device != "cuda":
        return step

    def call() -> None:
        step()
        torch.cuda.synchronize()

    return call


def check_gradients(network: nn.Module, data: StepData) -> dict[str, float]:
    """Compare xpand's gradients with those of plain modules, by the largest relative norm over all weights.

    The gradients of both implementations are compared in float64, where they must agree, and those of each in
    float32 are compared with the ones in float64. The errors in float32 vary by chance: a value next to a
    ReLU's kink may fall to either side of it, which changes a gradient by the contribution of one position.

    Raises:
        RuntimeError: the gradients differ in float64.
    """
    double = StepData(clips=data.clips.double(), labels=data.labels)
    wanted = _gradients(copy.deepcopy(network).double(), double, fast=False)
    difference = _largest(_gradients(_laid_out(network).double(), double, fast=True), wanted)
    if not difference <= AGREE:
        raise RuntimeError(
            f"gradients must agree to {AGREE}, but in float64 they differ by {difference:.1e}."
        )
    return {
        "gradient_difference": difference,
        "float32_error": _largest(_gradients(_laid_out(network), data, fast=True), wanted),
        "plain_float32_error": _largest(_gradients(copy.deepcopy(network), data, fast=False), wanted),
    }


def _laid_out(network: nn.Module) -> nn.Module:
    return place_network(copy.deepcopy(network), "cpu")


def _largest(gradients: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the largest relative difference of a weight's gradient.

    Differences of gradients that are nearly zero are taken relative to a thousandth of the largest one.
    """
    floor = 1e-3 * max(float(grad.norm()) for grad in wanted)
    return max(
        float((own.double() - other).norm()) / max(float(other.norm()), floor)
        for own, other in zip(gradients, wanted, strict=True)
    )


def _gradients(network: nn.Module, data: StepData, *, fast: bool) -> list[Tensor]:
    network.train()
    with nullcontext() if fast else plain():
        loss: Tensor = nn.functional.cross_entropy(network(data.clips), data.labels)
        loss.backward()  # type: ignore[no-untyped-call]
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def open_peers(pytorchvideo: Path | None, slowfast: Path | None) -> list[Peer]:
    """Import the other projects whose checkouts are given."""
    from expand.bench.peers import open_pytorchvideo, open_slowfast

    given = ((pytorchvideo, open_pytorchvideo), (slowfast, open_slowfast))
    return [open_peer(path) for path, open_peer in given if path is not None]
