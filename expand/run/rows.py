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
    """A candidate's network: its point, its clips and its cost.

    Attributes:
        candidate: its name within the round: an axis, a target or `start`.
        axis: the axis that was grown or contracted; None where there is no single one.
        point: its point in the space.
        factors: the point's factors by name, as JSON.
        clips: the clips that it sees.
        macs, params, activations: its complexity for one clip, as in `Complexity`.
        cost: its cost in the unit of the search's targets.
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
    """The measurements of one candidate's trainings, and statistics over its seeds.

    A statistic is None where no training has a value for it.

    Attributes:
        measurements: the measurements so far, at most one for each seed.
        mean: the mean score over all seeds; None until every seed has a score, and where a training failed.
    """

    measurements: tuple[Measurement, ...]
    mean: float | None

    @property
    def scores(self) -> list[float]:
        """The score of each measured seed."""
        return [one.score for one in self.measurements]

    @property
    def lowest(self) -> float | None:
        return min(self.scores, default=None)

    @property
    def highest(self) -> float | None:
        return max(self.scores, default=None)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation of the scores; None for fewer than two."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def learned(self) -> bool | None:
        """Whether any training has learned something; None where no measurement can tell."""
        told = [one.learned for one in self.measurements if one.guess_loss is not None]
        return any(told) if told else None

    @property
    def top1(self) -> float | None:
        """The mean top-1 accuracy."""
        return _mean([one.top1 for one in self.measurements])

    @property
    def mean_class_accuracy(self) -> float | None:
        return _mean([one.mean_class_accuracy for one in self.measurements])

    @property
    def test(self) -> float | None:
        """The mean score on the test videos; None while a seed has no score, and where there is no test."""
        return None if self.mean is None else _mean([one.test_score for one in self.measurements])

    @property
    def loss(self) -> float | None:
        """The mean validation loss."""
        return _mean([one.loss for one in self.measurements])

    @property
    def seconds(self) -> float | None:
        """Seconds of all measured trainings together."""
        return sum(one.seconds for one in self.measurements) if self.measurements else None

    @property
    def latency(self) -> float | None:
        """Seconds of a forward pass of one clip, the smallest over the seeds."""
        return min((one.latency for one in self.measurements), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A candidate and the scores of its trainings.

    Attributes:
        round: the number of its round.
        network: its network.
        state: failed if a training failed, done if every seed has a score, else waiting.
        reason: why the first failed training failed; None where none did.
        seeds: its scores over the seeds.
    """

    round: int
    network: Network
    state: CandidateState
    reason: str | None
    seeds: SeedScores

    @property
    def key(self) -> str:
        """The candidate's name within the run, the same in every table: `3-depth`."""
        return key_of(self.round, self.network.candidate)

    @property
    def score(self) -> float:
        """The mean score; only for a row that has one."""
        assert self.seeds.mean is not None, f"{self.key} has no score"
        return self.seeds.mean


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateRow(Measured):
    """A candidate of a round.

    Attributes:
        kind: the kind of its round: start, expansion, contraction, or another name that the strategy gives.
        accepted: whether the search went on from it, or it is the network of a target.
        gain: its score above that of the round's control, the grown network trained on for as long; None: the
            round has no control, or one of the two has no score yet.
    """

    kind: str
    accepted: bool
    gain: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UngrownRow:
    """An axis along which a round has no candidate.

    Attributes:
        round: the number of the round.
        kind: the kind of the round.
        axis: the axis's name.
        why: `saturated`, where no larger network along the axis costs at most a step more, or `free`, where
            the axis does not change the cost.
    """

    round: int
    kind: str
    axis: str
    why: Literal["saturated", "free"]

    @property
    def key(self) -> str:
        return key_of(self.round, self.axis)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRow(Measured):
    """A network that a search has found.

    Attributes:
        name: the name of its model file.
        fresh: its scores of trainings with seeds that had no part in choosing it, on test videos too if the
            data have some; None: there are none.
        timed: the nanoseconds that it takes on the device of the search's profile; None: it was not timed.
    """

    name: str
    fresh: SeedScores | None = None
    timed: int | None = None

    @property
    def test(self) -> float | None:
        """The mean score on the test videos, which had no part in the search; None: there is none."""
        return None if self.fresh is None else self.fresh.test


@dataclass(frozen=True, kw_only=True, slots=True)
class StateRow(ModelRow):
    """An accepted state.

    Attributes:
        step: its number on the path; the start has 0.
    """

    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetRow(ModelRow):
    """The network of a target.

    Attributes:
        step: the step of the accepted state that the network equals, or was contracted from; None if there is
            none.
        target: the largest cost that the network may have, in the unit of the search's targets.
    """

    step: int | None
    target: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """One training that has ended: a candidate with one seed.

    Attributes:
        round: the number of the first round that has the training.
        network: the candidate's network.
        seed: the seed.
        job: the key of its job.
        result: its result.
    """

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
        """The measurement; None where the training failed."""
        return self.result if isinstance(self.result, Measurement) else None

    @property
    def reason(self) -> str | None:
        """Why the training failed; None where it did not."""
        return self.result.reason if isinstance(self.result, Failure) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """An attempt of a worker at a training.

    Attributes:
        round: the number of the last round that has the training.
        candidate: the candidate's name.
        axis: the candidate's axis, if it has one.
        seed: the seed.
        job: the key of its job.
        state: done, failed, running, or cut off, where the worker or the driver died.
        attempt: the worker, and the times.
    """

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
    """Return a candidate's name within its run, from its round's number and its name: `3-depth`."""
    return f"{number}-{candidate}"


def _mean(values: Sequence[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None
