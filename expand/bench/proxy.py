"""Measures how well short trainings compare networks: ways to train them, against long trainings.

A way trains the candidates of rounds as a search would, for a state and all of its axes, by a recipe of its
own (ways.py).
"""

from __future__ import annotations

import statistics
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from expand.bench.ways import GROWN, RESIDUAL_START, Way, run_to_end, slug
from expand.config.search import Config
from expand.run.driver import SearchDisplay
from expand.run.record import RunRecord, read_run
from expand.run.start import with_start
from expand.search.base import CONTROL, Outcome, Problem, Round, Scored, State, Trajectory
from expand.search.budget import Purse
from expand.search.expansion import Expansion
from expand.search.setup import problem_of
from expand.system.errors import UserError
from expand.system.folders import STUDY
from search_spaces.base import Json

LONG = "long"  # the way that the others are compared with
APART = 0.03  # two candidates are told apart by long trainings if their scores differ by more than this
DRAWS = 2_000  # resamples of the seeds, for intervals

Key = tuple[int, str]  # the number of a round, and an axis


# In the order in which they are measured.
WAYS: dict[str, Way] = {
    "scratch": Way(),
    "grown": Way(length=0.5, training=GROWN),
    LONG: Way(length=5, training=RESIDUAL_START),
    "grown, half as long": Way(length=0.25, training=GROWN),
    "grown, residual start 0.2": Way(length=0.5, training={**GROWN, **RESIDUAL_START}),
    "grown, rate / 2": Way(length=0.5, training=GROWN, rate=0.5),
    "grown, no warm-up": Way(length=0.5, training={**GROWN, "warmup": 0.0}),
    "grown, batch × 2": Way(length=0.5, training=GROWN, batch=2, rate=2),
    "grown, half the videos": Way(training=GROWN, data={"share": 0.5}),
    "grown, smaller frames": Way(length=0.5, training=GROWN, size=0.8),
    "scratch, residual start 0.2": Way(training=RESIDUAL_START),
    "scratch, AdamW": Way(training={"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.05}),
}


class Neighbours(Expansion):
    """Trains the candidates of a state along each axis; the states are given, not chosen.

    Args:
        path: the axes along which the start is grown, round by round; after each, and before the first, the
            candidates of all axes are trained.
        step: as for `Expansion`.
    """

    def __init__(self, *, path: Sequence[str] = (), step: float = 2.0) -> None:
        super().__init__(step=step)
        self._path = path

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; targets are not looked at."""
        states = [(yield from self.start(problem, Purse(problem)))]
        for axis in (*self._path, None):
            round_ = self.growth(problem, states)
            outcomes = round_.by_candidate((yield round_))
            if axis is None:
                break
            chosen = next((one for one in outcomes if one.axis == axis), None)
            if chosen is None:
                raise UserError(f"--grow must name an axis that can grow in its round, got {axis!r}.")
            got = outcomes[chosen]
            score = got.score if isinstance(got, Scored) else 0.0
            states.append(State(step=round_.number, candidate=chosen, score=score))
        return Trajectory(states=tuple(states), targets=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """One training: the way, its round, candidate and seed, and what came of it."""

    way: str
    round: int
    candidate: str
    seed: int
    score: float
    learned: bool
    compute: float  # multiply-adds: of a clip × clips × 3, for the two further passes of the gradients
    seconds: float


def measure(
    config: Config, path: Sequence[str], ways: Sequence[str], folder: Path, view: SearchDisplay
) -> None:
    """Train the candidates of every way that is not done yet, each in a run folder of its own.

    Args:
        config: a search's configuration: space, axes, data, seeds, and the recipe that ways change.
        path: the axes along which the states are grown.
        ways: names from `WAYS`.
        folder: gets a run folder for each way; one that is there already is gone on with.
        view: shows the progress.

    Raises:
        UserError: a run in the folder has another configuration, or an axis is unknown or cannot grow.
        RunFailed: a run cannot go on.
    """
    config = with_start(config)
    for name in ways:
        settings = {"path": list(path), "step": config.search.step}
        chosen = WAYS[name].config(config, f"{__name__}:{Neighbours.__name__}", settings)
        axes = problem_of(chosen).axes
        if unknown := [axis for axis in path if axis not in axes]:
            known = ", ".join(axes)
            raise UserError(f"--grow must name axes of the search, {known}, got {', '.join(unknown)}.")
        run_to_end(chosen, folder / slug(name), view)


def trainings_of(name: str, record: RunRecord) -> Iterator[Trained]:
    """Yield the trainings of a way's run."""
    for row in record.trials:
        if (found := row.measurement) is not None:
            yield Trained(
                way=name,
                round=row.round,
                candidate=row.network.candidate,
                seed=row.seed,
                score=found.score,
                learned=found.learned,
                compute=float(found.spent),
                seconds=found.seconds,
            )


def read_ways(folder: Path) -> dict[str, list[Trained]]:
    """The trainings of each way that is finished, by its name."""
    found = {}
    for name in WAYS:
        own = folder / slug(name)
        if (own / STUDY).exists() and (record := read_run(own)).ended:
            found[name] = list(trainings_of(name, record))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How well a way compares candidates, against the long trainings.

    Attributes:
        way: its name.
        tau: Kendall's τ of the candidates' mean scores within rounds: 1, the same order; 0, no relation.
        interval: its 95 % interval, by resampling seeds of both.
        apart: of the pairs of candidates that long trainings tell apart, by more than `APART`, the share that
            the way has in the same order; a difference below that is in the noise of long trainings, too.
        pairs: the number of these pairs.
        regret: how much worse, in long trainings, the candidates are that the way would choose: the mean over
            rounds of the best long score minus that of the chosen one.
        learned_nothing: the share of the candidates' trainings that learned nothing.
        compute: multiply-adds of all its trainings, the start and controls included.
        seconds: seconds of all its trainings.
        handicaps: for each axis, by how much the way favours it: its score above the mean of its round, less
            the same in the long trainings; with the standard error.
    """

    way: str
    tau: float
    interval: tuple[float, float]
    apart: float
    pairs: int
    regret: float
    learned_nothing: float
    compute: float
    seconds: float
    handicaps: Mapping[str, tuple[float, float]]


def compare(ways: Mapping[str, Sequence[Trained]]) -> list[Agreement]:
    """Compare each way with the long trainings.

    Raises:
        UserError: the long trainings are missing.
    """
    if LONG not in ways:
        raise UserError(
            f"the ways must include {LONG!r}, which the others are compared with: measure it too."
        )
    return [_agreement(name, trained, ways[LONG]) for name, trained in ways.items()]


def _agreement(name: str, trained: Sequence[Trained], long: Sequence[Trained]) -> Agreement:
    own, reference = _by_key(trained), _by_key(long)
    keys = [key for key in reference if key in own]
    generator = np.random.default_rng(0)
    drawn = [(_resampled(own, keys, generator), _resampled(reference, keys, generator)) for _ in range(DRAWS)]
    taus = [_tau(keys, *pair) for pair in drawn]
    mean = (
        {key: statistics.fmean(own[key]) for key in keys},
        {key: statistics.fmean(reference[key]) for key in keys},
    )
    signs = [sign for sign, apart in _signs(keys, *mean) if apart > APART]
    shifts = [_handicaps(keys, *pair) for pair in drawn]
    candidates = [one for one in trained if one.round > 0]
    return Agreement(
        way=name,
        tau=_tau(keys, *mean),
        interval=(float(np.quantile(taus, 0.025)), float(np.quantile(taus, 0.975))),
        apart=statistics.fmean(sign > 0 for sign in signs) if signs else 1.0,
        pairs=len(signs),
        regret=_regret(keys, *mean),
        learned_nothing=sum(not one.learned for one in candidates) / len(candidates),
        compute=sum(one.compute for one in trained),
        seconds=sum(one.seconds for one in trained),
        handicaps={
            axis: (shift, float(np.std([drawn_shift[axis] for drawn_shift in shifts])))
            for axis, shift in _handicaps(keys, *mean).items()
        },
    )


def _by_key(trained: Sequence[Trained]) -> dict[Key, list[float]]:
    """The scores of the seeds of each candidate that was grown along an axis."""
    scores: dict[Key, list[float]] = {}
    for one in trained:
        if one.round > 0 and one.candidate != CONTROL:
            scores.setdefault((one.round, one.candidate), []).append(one.score)
    return scores


def _resampled(
    scores: Mapping[Key, Sequence[float]], keys: Sequence[Key], generator: np.random.Generator
) -> dict[Key, float]:
    """The mean score of each candidate over seeds that are drawn with replacement."""
    return {key: float(generator.choice(scores[key], len(scores[key])).mean()) for key in keys}


def _tau(keys: Sequence[Key], own: Mapping[Key, float], long: Mapping[Key, float]) -> float:
    """Kendall's τ over the pairs of candidates of one round."""
    signs = [sign for sign, _ in _signs(keys, own, long)]
    return statistics.fmean(signs) if signs else 0.0


def _signs(
    keys: Sequence[Key], own: Mapping[Key, float], long: Mapping[Key, float]
) -> list[tuple[float, float]]:
    """For each pair of candidates of one round: 1 for the same order, −1 or 0; and how far they are apart."""
    found = []
    for one, other in combinations(keys, 2):
        if one[0] == other[0]:
            apart = long[one] - long[other]
            found.append((float(np.sign(own[one] - own[other]) * np.sign(apart)), abs(apart)))
    return found


def _regret(keys: Sequence[Key], own: Mapping[Key, float], long: Mapping[Key, float]) -> float:
    lost = []
    for number in {number for number, _ in keys}:
        round_ = [key for key in keys if key[0] == number]
        chosen = max(round_, key=own.__getitem__)
        lost.append(max(long[key] for key in round_) - long[chosen])
    return statistics.fmean(lost)


def _handicaps(keys: Sequence[Key], own: Mapping[Key, float], long: Mapping[Key, float]) -> dict[str, float]:
    shifts: dict[str, list[float]] = {}
    for number in {number for number, _ in keys}:
        round_ = [key for key in keys if key[0] == number]
        own_mean, long_mean = (statistics.fmean(scores[key] for key in round_) for scores in (own, long))
        for key in round_:
            shifts.setdefault(key[1], []).append(own[key] - own_mean - (long[key] - long_mean))
    return {axis: statistics.fmean(values) for axis, values in shifts.items()}


def to_json(ways: Mapping[str, Sequence[Trained]]) -> Json:
    """The comparison, with every training that it is worked out from."""
    return {
        "agreement": [asdict(one) for one in compare(ways)] if LONG in ways else [],
        "trainings": [asdict(one) for trained in ways.values() for one in trained],
    }
