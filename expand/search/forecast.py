"""Forecasts a search: its rounds, multiply-adds and seconds, before it starts and while it runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from expand.config.training import TrainingConfig
from expand.jobs.job import TRAIN_FACTOR, Job, Measurement
from expand.search.axes import is_free, largest
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored
from expand.search.setup import Setup
from expand.system.errors import RunFailed
from search_spaces.base import ClipSampling


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

    Attributes:
        rounds: the trainings of each round.
        candidates: the number of candidates of each round; each has a training for every seed.
    """

    rounds: tuple[tuple[Load, ...], ...]
    candidates: tuple[int, ...]

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
    """Seconds of trainings: `each`, and for each forward pass of a clip `fixed` + `per_mac` × multiply-adds.

    The fixed part is there because the time of a small network depends on its number of layers more than on
    its multiply-adds.

    Attributes:
        fixed: seconds of a pass.
        per_mac: seconds of a multiply-add.
        timed: multiply-adds of the largest network that was timed; beyond it, seconds are extrapolated.
            None: unknown.
        each: seconds that a training takes besides its passes: it is read, built, checkpointed and scored.
        around: seconds that a search takes besides its trainings: workers start, and the report is written.
    """

    fixed: float
    per_mac: float
    timed: int | None = None
    each: float = 0.0
    around: float = 0.0

    def seconds(self, load: Load) -> float:
        """The seconds of a training."""
        return self.each + load.passes * (self.fixed + self.per_mac * load.macs_per_clip)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Speed:
        """The speed whose `asdict` is `values`."""
        return cls(**values)

    @classmethod
    def fit(cls, timed: Sequence[tuple[int, float]]) -> Speed:
        """The line that is nearest to networks' (multiply-adds, seconds of a pass), at least one of them.

        The sum of squared relative errors is least, and no coefficient is negative.
        """
        # Each network asks that fixed · u + per_mac · v = 1, by its u = 1 / seconds and v = MACs / seconds.
        u, v = [1 / seconds for _, seconds in timed], [macs / seconds for macs, seconds in timed]
        uu, uv, vv = _product(u, u), _product(u, v), _product(v, v)
        alike = len({macs for macs, _ in timed}) == 1
        determinant = 0.0 if alike else uu * vv - uv * uv
        fixed, per_mac = 0.0, sum(v) / vv
        if determinant > 0:
            line = (vv * sum(u) - uv * sum(v)) / determinant, (uu * sum(v) - uv * sum(u)) / determinant
            if line[0] >= 0 and line[1] > 0:
                fixed, per_mac = line
        return cls(fixed=fixed, per_mac=per_mac, timed=max(macs for macs, _ in timed))


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    """The scalar product of two rows of numbers."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def load_of(setup: Setup, macs: int, budget: float = 1.0, *, test: bool = False) -> Load:
    """The work of training and validating a network of `macs` multiply-adds, with a share of the budget.

    Args:
        setup: the search.
        macs: multiply-adds of the network for a clip.
        budget: the share of the budget.
        test: whether the network is scored on the test videos too.
    """
    return _load(setup, setup.config.training.scaled(budget=budget), macs, test=test)


def _load(setup: Setup, recipe: TrainingConfig, macs: int, *, test: bool) -> Load:
    passes = TRAIN_FACTOR * recipe.clips_of(setup.data.train) + _validated(setup, test=test)
    return Load(passes=passes, macs_per_clip=macs)


def _validated(setup: Setup, *, test: bool) -> int:
    """Clips that a training is validated on, and tested on if it is."""
    return setup.config.training.val_clips * (setup.data.val + (setup.data.test if test else 0))


Wins = Callable[[Round, Sequence[Candidate]], Candidate]  # chooses a round's winner among those that fit


def dearest(_: Round, fitting: Sequence[Candidate]) -> Candidate:
    """The most expensive candidate wins."""
    return max(fitting, key=lambda candidate: candidate.macs)


def in_turn(round_: Round, fitting: Sequence[Candidate]) -> Candidate:
    """Another axis wins in each round, so that the networks have grown along all of them."""
    grown = [candidate for candidate in round_.contenders if candidate in fitting] or fitting
    return grown[(round_.number - 1) % len(grown)]


def likely_rounds(
    setup: Setup, fits: Callable[[Candidate], bool] = lambda _: True, wins: Wins = dearest
) -> tuple[Round, ...]:
    """The rounds of a search up to its end, where `wins` chooses each round's winner.

    They end early if the search cannot continue, for example because no candidate of a round fits.

    Args:
        setup: the search.
        fits: whether a candidate fits into memory; called once for each. One that does not fit fails.
        wins: chooses the candidate that wins a round.
    """
    search = setup.search()
    rounds: list[Round] = []
    try:
        round_ = next(search)
        while True:
            rounds.append(round_)
            fitting = [candidate for candidate in round_.candidates if fits(candidate)]
            winner = wins(round_, fitting) if fitting else None
            likely: dict[Candidate, Outcome] = {
                candidate: Scored(score=float(candidate == winner))
                if candidate in fitting
                else Failed(reason="out of memory")
                for candidate in round_.candidates
            }
            round_ = search.send([likely[training.candidate] for training in round_.trainings])
    except (StopIteration, RunFailed):
        return tuple(rounds)


def forecast(setup: Setup) -> Forecast:
    """The trainings that a search is likely to ask for; of a race, those that it begins with."""
    rounds: dict[int, list[Load]] = {}
    candidates: dict[int, set[Candidate]] = {}
    for round_ in likely_rounds(setup):  # a round that is a race may have several stages
        rounds.setdefault(round_.number, []).extend(
            load_of(setup, training.candidate.macs, training.budget, test=training.test)
            for training in round_.trainings
        )
        candidates.setdefault(round_.number, set()).update(round_.candidates)
    return Forecast(
        rounds=tuple(map(tuple, rounds.values())), candidates=tuple(map(len, candidates.values()))
    )


def closest(setup: Setup) -> Setup:
    """The search if every decision is close: each candidate is trained with all seeds."""
    search = setup.config.search
    all_seeds = {"seeds": (search.seeds[1], search.seeds[1]), "confirm": search.confirmations}
    return replace(
        setup, config=setup.config.model_copy(update={"search": search.model_copy(update=all_seeds)})
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
        return self._correct(self._speed.seconds(_load(self._setup, recipe, macs, test=job.test is not None)))

    def learn(self, done: Measurement) -> None:
        """Correct the forecast by a training."""
        validated = _validated(self._setup, test=done.test_score is not None)
        passes = TRAIN_FACTOR * done.clips_seen + validated
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
        """The expected seconds of the whole search; of a race, as far as it trains all candidates.

        Left out are the decoding of the videos, and trainings of a start that has to be trained again.
        """
        first = [self._speed.seconds(load) for load in self._rounds[0]]
        return self._speed.around + self.left(first, 0)

    def at_most(self) -> float:
        """The expected seconds of the whole search if every decision is close."""
        return Clock(closest(self._setup), self._speed, self._workers).total()

    def _correct(self, seconds: float) -> float:
        return seconds * (statistics.median(self._ratios[-12:]) if self._ratios else 1.0)


def furthest_clips(problem: Problem, limit: float) -> tuple[ClipSampling, ...]:
    """The clips of the start, and of the start grown along each single axis until its cost reaches `limit`.

    Where several axes grow, each grows less, so no network of the search needs more frames of a video or
    larger ones. Axes along which the cost does not change (`is_free`) are not grown.
    """
    start = problem.start.point
    growing = (axis for axis in problem.axes.values() if not is_free(problem, axis, start))
    points = [start, *(largest(problem, axis, start, limit) for axis in growing)]
    return tuple(dict.fromkeys(problem.space.sampling(point) for point in points if point is not None))
