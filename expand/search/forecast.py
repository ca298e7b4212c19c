"""Forecasts a search: its rounds, multiply-adds and seconds, before it starts and while it runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expand.config.search import TrainingConfig
from expand.jobs.job import Job, Measurement
from expand.search.axes import is_free, largest
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored
from expand.search.setup import Setup
from expand.system.errors import RunFailed
from search_spaces.base import ClipSampling

# Forward passes that a training clip costs: one, and about two more for the gradients of inputs and weights.
TRAIN_FACTOR = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The work of one training: its forward passes of a clip, and the multiply-adds of each.

    A clip that is trained on counts as `TRAIN_FACTOR` passes, a clip that is validated as one.
    """

    passes: float
    macs_per_clip: int

    @property
    def macs(self) -> float:
        """The multiply-adds of the training."""
        return self.passes * self.macs_per_clip


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The trainings of a search, round by round, if the most expensive candidate won every round.

    The real winners are not known in advance, so the real rounds differ, the last ones most; the number of
    rounds hardly does.
    """

    rounds: tuple[tuple[Load, ...], ...]

    @property
    def trainings(self) -> int:
        """The number of trainings."""
        return sum(len(loads) for loads in self.rounds)

    @property
    def macs(self) -> float:
        """The multiply-adds of all trainings."""
        return sum(load.macs for loads in self.rounds for load in loads)

    @property
    def dearest(self) -> int:
        """The multiply-adds of one clip through the most expensive network."""
        return max(load.macs_per_clip for loads in self.rounds for load in loads)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Seconds of a forward pass of one clip in training: `fixed` + `per_mac` × multiply-adds.

    The fixed part is there because the time of a small network depends on its number of layers more than on
    its multiply-adds.

    Attributes:
        fixed: seconds of a pass.
        per_mac: seconds of a multiply-add.
        timed: multiply-adds of the largest network that was timed; beyond it, seconds are extrapolated.
            None: unknown.
    """

    fixed: float
    per_mac: float
    timed: int | None = None

    def seconds(self, load: Load) -> float:
        """The seconds of a training."""
        return load.passes * (self.fixed + self.per_mac * load.macs_per_clip)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Speed:
        """The speed whose `asdict` is `values`."""
        return cls(**values)

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> Speed:
        """The line through two networks' (multiply-adds, seconds of a pass); no coefficient is negative."""
        (macs, seconds), (more_macs, more_seconds) = small, large
        if more_macs <= macs or more_seconds <= seconds:
            return cls(fixed=0.0, per_mac=more_seconds / more_macs, timed=more_macs)
        per_mac = (more_seconds - seconds) / (more_macs - macs)
        if per_mac * macs > seconds:
            return cls(fixed=0.0, per_mac=seconds / macs, timed=more_macs)
        return cls(fixed=seconds - per_mac * macs, per_mac=per_mac, timed=more_macs)


def load_of(setup: Setup, macs: int, budget: float = 1.0) -> Load:
    """The work of training and validating a network of `macs` multiply-adds, with a share of the budget."""
    return _load(setup, setup.config.training.scaled(budget=budget), macs)


def _load(setup: Setup, recipe: TrainingConfig, macs: int) -> Load:
    passes = TRAIN_FACTOR * recipe.clips_of(setup.data.train) + _validated(setup)
    return Load(passes=passes, macs_per_clip=macs)


def _validated(setup: Setup) -> int:
    """Clips that a training is validated on."""
    return setup.config.training.val_clips * setup.data.val


def likely_rounds(setup: Setup, fits: Callable[[Candidate], bool] = lambda _: True) -> tuple[Round, ...]:
    """The rounds of a search in which the most expensive candidate wins every round, up to the search's end.

    They end early if the search cannot continue, for example because no candidate of a round fits.

    Args:
        setup: the search.
        fits: whether a candidate fits into memory; called once for each. One that does not fit fails.
    """
    search = setup.strategy.search(setup.problem)
    rounds: list[Round] = []
    try:
        round_ = next(search)
        while True:
            rounds.append(round_)
            fitting = [candidate for candidate in round_.candidates if fits(candidate)]
            dearest = max((candidate.macs for candidate in fitting), default=0)
            likely: dict[Candidate, Outcome] = {
                candidate: Scored(score=float(candidate.macs == dearest))
                if candidate in fitting
                else Failed(reason="out of memory")
                for candidate in round_.candidates
            }
            round_ = search.send([likely[training.candidate] for training in round_.trainings])
    except (StopIteration, RunFailed):
        return tuple(rounds)


def forecast(setup: Setup) -> Forecast:
    """The trainings that a search is likely to ask for."""
    return Forecast(
        rounds=tuple(
            tuple(load_of(setup, training.candidate.macs, training.budget) for training in round_.trainings)
            for round_ in likely_rounds(setup)
        )
    )


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until `workers` workers have done independent trainings, the longest of which start first."""
    busy = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        first = busy.index(min(busy))
        busy[first] += duration
    return max(busy)


class Clock:
    """Forecasts the seconds of trainings from a calibrated speed, corrected by the trainings measured so far.

    The correction is the median, over the last 12 trainings, of measured over expected seconds.
    """

    def __init__(self, setup: Setup, speed: Speed, workers: int) -> None:
        self._setup, self._speed, self._workers = setup, speed, workers
        self._rounds = forecast(setup).rounds
        self._ratios: list[float] = []

    def seconds(self, macs: int, job: Job) -> float:
        """The expected seconds of a job, whose network has `macs` multiply-adds."""
        recipe = TrainingConfig.model_validate(job.recipe)
        return self._correct(self._speed.seconds(_load(self._setup, recipe, macs)))

    def learn(self, done: Measurement) -> None:
        """Correct the forecast by a training."""
        passes = TRAIN_FACTOR * done.clips_seen + _validated(self._setup)
        self._ratios.append(done.seconds / self._speed.seconds(Load(passes=passes, macs_per_clip=done.macs)))

    def left(self, running: Sequence[float], round_number: int) -> float:
        """Seconds until the search ends.

        Args:
            running: the expected seconds that each training of this round still takes.
            round_number: this round's number; the rounds after it are those of the forecast.
        """
        later = self._rounds[round_number + 1 :]
        return makespan(running, self._workers) + sum(
            makespan([self._correct(self._speed.seconds(load)) for load in loads], self._workers)
            for loads in later
        )

    def total(self) -> float:
        """The expected seconds of the whole search."""
        return self.left([self._speed.seconds(load) for load in self._rounds[0]], 0)

    def _correct(self, seconds: float) -> float:
        return seconds * (statistics.median(self._ratios[-12:]) if self._ratios else 1.0)


def furthest_clips(problem: Problem, limit: float) -> tuple[ClipSampling, ...]:
    """The clips of the start, and of the start grown along each single axis until its cost reaches `limit`.

    Where several axes grow, each grows less, so no network of the search needs more frames of a video or
    larger ones. Axes along which the cost does not change (`is_free`) are not grown.
    """
    start = problem.space.start
    growing = (axis for axis in problem.axes.values() if not is_free(problem, axis, start))
    points = [start, *(largest(problem, axis, start, limit) for axis in growing)]
    return tuple(dict.fromkeys(problem.space.sampling(point) for point in points if point is not None))


def ends(setup: Setup) -> tuple[Candidate, Candidate]:
    """The networks of the forecast with the fewest and with the most multiply-adds."""
    networks = by_cost(setup)
    return networks[0], networks[-1]


def by_cost(setup: Setup) -> list[Candidate]:
    """The networks of the forecast, in the order of their multiply-adds."""
    candidates = [candidate for round_ in likely_rounds(setup) for candidate in round_.candidates]
    return sorted(candidates, key=lambda candidate: candidate.macs)
