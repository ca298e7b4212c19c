"""What a search will cost, before it starts and while it runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expand.search.axes import is_free, largest
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored
from expand.search.setup import Setup
from expand.system.errors import RunFailed
from search_spaces.base import ClipSampling

TRAIN_FACTOR = 3  # a training clip costs a forward pass and about two more for the two gradients


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The work of one training: clips through the network, counted in forward passes, and their MACs."""

    passes: float
    macs_per_clip: int

    @property
    def macs(self) -> float:
        return self.passes * self.macs_per_clip


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The rounds that a search would take if the most expensive candidate won each.

    The decisions are not known before, so the last rounds may differ; the rounds' number hardly does.
    """

    rounds: tuple[tuple[Load, ...], ...]

    @property
    def trainings(self) -> int:
        return sum(len(loads) for loads in self.rounds)

    @property
    def macs(self) -> float:
        return sum(load.macs for loads in self.rounds for load in loads)

    @property
    def dearest(self) -> int:
        """Multiply-adds of one clip through the largest network."""
        return max(load.macs_per_clip for loads in self.rounds for load in loads)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Seconds that a forward pass of one clip costs in training, as fixed + per_mac · MACs.

    Small networks are bound by their number of layers, not by their MACs: hence the fixed part.

    Attributes:
        fixed, per_mac: seconds.
        timed: multiply-adds of the largest network that was timed, beyond which it is extrapolated; None:
            not known.
    """

    fixed: float
    per_mac: float
    timed: int | None = None

    def seconds(self, load: Load) -> float:
        return load.passes * (self.fixed + self.per_mac * load.macs_per_clip)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Speed:
        """From what `asdict` gave."""
        return cls(**values)

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> Speed:
        """From two networks' (MACs, seconds a pass); neither part is ever negative."""
        (macs, seconds), (more_macs, more_seconds) = small, large
        if more_macs <= macs or more_seconds <= seconds:
            return cls(fixed=0.0, per_mac=more_seconds / more_macs, timed=more_macs)
        per_mac = (more_seconds - seconds) / (more_macs - macs)
        if per_mac * macs > seconds:
            return cls(fixed=0.0, per_mac=seconds / macs, timed=more_macs)
        return cls(fixed=seconds - per_mac * macs, per_mac=per_mac, timed=more_macs)


def load_of(setup: Setup, macs: int, budget: float = 1.0) -> Load:
    """The work of training a network of so many multiply-adds, with a share of the budget."""
    recipe, videos = setup.config.training.share(budget), setup.data.train
    return Load(
        passes=TRAIN_FACTOR * recipe.clips_of(videos) + recipe.val_clips * setup.data.val, macs_per_clip=macs
    )


def likely_rounds(setup: Setup, fits: Callable[[Candidate], bool] = lambda _: True) -> tuple[Round, ...]:
    """The rounds of a search in which the most expensive candidate wins each; stops where it cannot go on.

    Args:
        setup: the search.
        fits: whether a candidate can be trained; is asked once of each. One that cannot fails.
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
    """How long independent trainings take on `workers`, the longest first."""
    busy = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        first = busy.index(min(busy))
        busy[first] += duration
    return max(busy)


class Clock:
    """How long trainings take: from a calibrated speed, which the trainings measured so far correct."""

    def __init__(self, setup: Setup, speed: Speed, workers: int) -> None:
        self._setup, self._speed, self._workers = setup, speed, workers
        self._rounds = forecast(setup).rounds
        self._ratios: list[float] = []

    def seconds(self, macs: int) -> float:
        """What one training of a network is expected to take."""
        return self._correct(self._speed.seconds(load_of(self._setup, macs)))

    def learn(self, macs: int, seconds: float) -> None:
        """A training took this long."""
        self._ratios.append(seconds / self._speed.seconds(load_of(self._setup, macs)))

    def left(self, running: Sequence[float], round_number: int) -> float:
        """Seconds left: what is left of this round's trainings, then the rounds to come."""
        later = self._rounds[round_number + 1 :]
        return makespan(running, self._workers) + sum(
            makespan([self._correct(self._speed.seconds(load)) for load in loads], self._workers)
            for loads in later
        )

    def total(self) -> float:
        """Seconds of the whole search, as forecast."""
        return self.left([self._speed.seconds(load) for load in self._rounds[0]], 0)

    def _correct(self, seconds: float) -> float:
        return seconds * (statistics.median(self._ratios[-12:]) if self._ratios else 1.0)


def furthest_clips(problem: Problem, limit: float) -> tuple[ClipSampling, ...]:
    """The clips of the start, and of each axis grown alone up to a cost; axes that are free do not grow.

    Together with others an axis gets less far, so these are the most that a search may ask of a video.
    """
    start = problem.space.start
    growing = (axis for axis in problem.axes.values() if not is_free(problem, axis, start))
    points = [start, *(largest(problem, axis, start, limit) for axis in growing)]
    return tuple(dict.fromkeys(problem.space.sampling(point) for point in points if point is not None))


def ends(setup: Setup) -> tuple[Candidate, Candidate]:
    """The cheapest and the dearest network of the forecast."""
    found = by_cost(setup)
    return found[0], found[-1]


def by_cost(setup: Setup) -> list[Candidate]:
    """The networks of the forecast, the cheapest first."""
    candidates = [candidate for round_ in likely_rounds(setup) for candidate in round_.candidates]
    return sorted(candidates, key=lambda candidate: candidate.macs)
