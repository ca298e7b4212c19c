"""A space without torch, and a trainer that computes scores from jobs' keys: a search without trainings.

The time of a search on it is the overhead of searches.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expand.jobs.folder import attempting, read_job, write_result
from expand.jobs.job import Job, Measurement, Place
from search_spaces.base import Axis, ClipSampling, Complexity, Json, StageComplexity

if TYPE_CHECKING:
    from torch import Tensor, nn

SPACE = f"{__name__}:Stairs"
TRAINER = f"{__name__}:score"
AXES = ("red", "orange", "yellow", "green", "blue", "violet")  # as many as X3D has
FLIGHT = 1.021  # search.step, so that a step of the search is four stairs

_START = 1_000_000  # multiply-adds of the start
_STAIR = 1.005  # factor of multiply-adds from one stair to the next
_SECONDS = 1e-3  # the seconds that a measurement states for its training

Stair = tuple[int, ...]  # the stair on each axis, from 1 on; it is both the point and the architecture


@dataclass(frozen=True, slots=True)
class Up:
    """An axis on which a step is one stair."""

    name: str

    @property
    def label(self) -> str:
        return f"X-{self.name.title()}"

    def move(self, space: Any, point: Stair, steps: int) -> Stair | None:  # noqa: ARG002 - of the contract
        index = AXES.index(self.name)
        stair = point[index] + steps
        return (*point[:index], stair, *point[index + 1 :]) if stair >= 1 else None


@dataclass(frozen=True, slots=True)
class Stairs:
    """A SearchSpace in which a stair on any axis multiplies the cost by the same factor."""

    @property
    def start(self) -> Stair:
        return (1,) * len(AXES)

    @property
    def axes(self) -> Mapping[str, Axis[Stair]]:
        return {name: Up(name) for name in AXES}

    def architecture(self, point: Stair) -> Stair:
        return point

    def sampling(self, point: Stair) -> ClipSampling:  # noqa: ARG002 - of the contract
        return ClipSampling(frames=1, stride=1, size=32)

    def resized(self, architecture: Stair, size: int) -> Stair:  # noqa: ARG002 - of the contract
        return architecture

    def complexity(self, architecture: Stair, num_classes: int = 400) -> Complexity:
        macs = _macs(sum(architecture) - len(AXES))
        stage = StageComplexity(name="stairs", macs=macs, params=macs, activations=num_classes)
        return Complexity(macs=macs, params=macs, activations=num_classes, stages=(stage,))

    def build(self, architecture: Stair, num_classes: int, **options: Any) -> nn.Module:
        raise NotImplementedError("there is nothing to train.")

    def example(self, architecture: Stair, batch: int) -> Tensor:
        raise NotImplementedError("there is nothing to show it.")

    def describe(self, point: Stair) -> dict[str, str]:
        return {name: str(stair) for name, stair in self.point_to_json(point).items()}

    def point_to_json(self, point: Stair) -> Json:
        return dict(zip(AXES, point, strict=True))

    def point_from_json(self, values: Json) -> Stair:
        return tuple(values[name] for name in AXES)

    architecture_to_json = point_to_json
    architecture_from_json = point_from_json


def targets(candidates: int) -> tuple[int, ...]:
    """Return targets for which a search has this many candidates, at least 38.

    The candidates are the start, one for each axis in each step, and one for each target. Each target is
    passed by a step of its own, and met half a step below.
    """
    steps = (candidates - 2) // len(AXES)
    count = candidates - 1 - len(AXES) * steps
    return tuple(_macs(4 * step - 2) for step in range(steps - count + 1, steps + 1))


def score(folder: Path) -> None:
    """Do the job in a folder as `expand.training.candidate.run_job` does, without the training."""
    job, place = read_job(folder)
    with attempting(folder):
        result = _measurement(job, place)
    write_result(folder, result)


def _macs(stairs: int) -> int:
    return round(_START * _STAIR**stairs)


def _measurement(job: Job, place: Place) -> Measurement:
    space, top1 = Stairs(), int(job.key, 16) / 16 ** len(job.key)
    cost = space.complexity(space.architecture_from_json(job.architecture), job.data["num_classes"])
    return Measurement(
        score=top1,
        top1=top1,
        top5=top1,
        mean_class_accuracy=top1,
        loss=1 - top1,
        train_loss=1 - top1,
        macs=cost.macs,
        params=cost.params,
        activations=cost.activations,
        clips_seen=0,
        epochs=0.0,
        seconds=_SECONDS,
        peak_memory=0,
        looped=0,
        micro_batch=1,
        latency=_SECONDS,
        device=place.device,
        threads=place.threads,
        host=socket.gethostname(),
    )
