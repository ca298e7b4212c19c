"""The rows of a run's tables: trainings, candidates of rounds, accepted states, targets, attempts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from expand.jobs.job import Attempt, Failure, Measurement, Result
from search_spaces.base import ClipSampling

CandidateState = Literal["done", "failed", "waiting"]  # of a candidate, over its seeds
AttemptState = Literal["done", "failed", "cut off", "running"]  # of an attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A candidate's network, as numbers.

    Attributes:
        candidate: its name within the round: an axis, a target or `start`.
        axis: that was grown or contracted; None: none in particular.
        point: of the space.
        factors: the point's factors by name, as JSON.
        clips: frames, stride and size of the clips that it sees.
        macs, params, activations: of one clip (Complexity).
        cost: what the search counts.
    """

    candidate: str
    axis: str | None
    point: Any
    factors: Mapping[str, Any]
    clips: ClipSampling
    macs: int
    params: int
    activations: int
    cost: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScores:
    """What the trainings of one candidate gave, over its seeds; None where no training has a value.

    Attributes:
        measurements: of the seeds that have one.
        mean: the objective's score over all seeds; None until each has one, and where one failed.
    """

    measurements: tuple[Measurement, ...]
    mean: float | None

    @property
    def scores(self) -> list[float]:
        """The objective's score of each seed."""
        return [one.score for one in self.measurements]

    @property
    def lowest(self) -> float | None:
        return min(self.scores, default=None)

    @property
    def highest(self) -> float | None:
        return max(self.scores, default=None)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None below two seeds."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def top1(self) -> float | None:
        """The mean top-1 accuracy."""
        return _mean([one.top1 for one in self.measurements])

    @property
    def mean_class_accuracy(self) -> float | None:
        return _mean([one.mean_class_accuracy for one in self.measurements])

    @property
    def loss(self) -> float | None:
        """The mean validation loss."""
        return _mean([one.loss for one in self.measurements])

    @property
    def seconds(self) -> float | None:
        """All trainings together."""
        return sum(one.seconds for one in self.measurements) if self.measurements else None

    @property
    def latency(self) -> float | None:
        """Seconds of a forward pass of one clip, the fastest that was measured."""
        return min((one.latency for one in self.measurements), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A candidate and what its trainings gave.

    Attributes:
        round: its number.
        state: over its seeds.
        reason: of the first seed that failed; None: none did.
    """

    round: int
    network: Network
    state: CandidateState
    reason: str | None
    seeds: SeedScores

    @property
    def key(self) -> str:
        """The candidate's name within its run, the same in every table."""
        return key_of(self.round, self.network.candidate)

    @property
    def score(self) -> float:
        """The mean over its seeds, for rows that are known to have one."""
        assert self.seeds.mean is not None, f"{self.key} has no score"
        return self.seeds.mean


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateRow(Measured):
    """A candidate of a round.

    Attributes:
        kind: of the round: start, expansion, contraction, or what the strategy calls it.
        accepted: whether the search went on from it, or it is the network of a target.
    """

    kind: str
    accepted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UngrownRow:
    """An axis along which a round has no candidate.

    Attributes:
        why: saturated: no network's cost lies within a step; free: the axis does not change the cost.
    """

    round: int
    kind: str
    axis: str
    why: Literal["saturated", "free"]

    @property
    def key(self) -> str:
        return key_of(self.round, self.axis)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateRow(Measured):
    """An accepted state.

    Attributes:
        name: of its model file.
        step: 0 is the start.
    """

    name: str
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetRow(Measured):
    """The network of a target.

    Attributes:
        name: of its model file.
        step: of the accepted state that the network is, or was contracted from; None: there is none.
        target: the most that the network may cost, in what the search counts.
    """

    name: str
    step: int | None
    target: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """One training: a candidate with one seed."""

    round: int
    network: Network
    seed: int
    job: str
    result: Result

    @property
    def key(self) -> str:
        return key_of(self.round, self.network.candidate)

    @property
    def measurement(self) -> Measurement | None:
        """What it gave; None: it failed."""
        return self.result if isinstance(self.result, Measurement) else None

    @property
    def reason(self) -> str | None:
        """Why it failed; None: it did not."""
        return self.result.reason if isinstance(self.result, Failure) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """A worker's try at a training."""

    round: int
    candidate: str
    axis: str | None
    seed: int
    job: str
    state: AttemptState
    attempt: Attempt

    @property
    def key(self) -> str:
        return key_of(self.round, self.candidate)


def key_of(number: int, candidate: str) -> str:
    """A candidate's name within its run."""
    return f"{number}-{candidate}"


def _mean(values: Sequence[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None
