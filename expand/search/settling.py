"""Where further trainings settle most: which round of a finished search to train further.

A further stage of a round trains those that may be the best once more, with one new seed
(`race.to_settle`). What it is worth is how far it lets the expected regret of the round fall: the round then
chooses by what it knows after it, and the expected score of the best of them can only rise. Since one stage
may be too few to turn anything, several are looked at, and the best fall for each training counts. Then one
stage is trained, and the question is asked again. Source: Frazier and Powell (2010), Paradoxes in learning
and the marginal value of information, and Frazier et al. (2009) for candidates whose scores are correlated.

Shapes: t candidates of which something is known, D and S draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from expand.search.base import Candidate, Outcome, Problem, Round
from expand.search.beliefs import DRAWS, Array, Posterior, generator_of, posterior, scatter
from expand.search.decision import Decision, Noise
from expand.search.drawn_scores import rows_of
from expand.search.race import Row, telling, to_settle

LEAST_FALL = 1e-5  # of the regret, for each training: a thousandth of a point; less is not worth a training
_MOST_STAGES = 8  # so many are looked ahead
_SHARED = 1.0  # the variance of what a seed does to all candidates: unknown, so far larger than any score's


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """A stage of further trainings that is worth most.

    Attributes:
        round: the number of the round that it settles.
        branch: the round's branch.
        names: the candidates that it trains.
        fall: how far the expected regret of the round falls for each training, in units of the score.
    """

    round: int
    branch: str
    names: tuple[str, ...]
    fall: float


def most_settling(
    problem: Problem,
    decided: Sequence[tuple[Round, Sequence[Outcome]]],
    decisions: Sequence[Decision],
    trainings: int,
) -> Settling | None:
    """The stage by which the regret of the path falls most for each training. Equal arguments, equal stage.

    Args:
        problem: of the search.
        decided: its rounds, with an outcome for each training.
        decisions: how its rounds were decided.
        trainings: how many it may be at most.

    Returns:
        None if no stage is worth it: none has so few trainings, or the regret falls by less than LEAST_FALL.
    """
    rounds = {round_.number: round_ for round_, _ in reversed(decided)}
    rows = rows_of(problem, decided)
    noise = {number: scatter(list(of.values()), paired=problem.grown) for number, of in rows.items()}
    best: Settling | None = None
    for decision in decisions:
        names, round_ = to_settle(decision), rounds[decision.round]
        others = sum((one for number, one in noise.items() if number != decision.round), Noise())
        found = _posterior(problem, round_, rows[decision.round], others)
        places = [round_.contenders[at].name for at in found.told] if found is not None else []
        if found is None or not set(names) <= set(places):
            continue
        at = [places.index(name) for name in names]
        for stages in range(1, min(_MOST_STAGES, trainings // len(names)) + 1):
            fall = expected_fall(found, at, stages, paired=problem.grown) / (stages * len(names))
            if fall >= LEAST_FALL and (best is None or fall > best.fall):
                best = Settling(round=decision.round, branch=round_.branch, names=names, fall=fall)
    return best


def _posterior(
    problem: Problem, round_: Round, rows: Mapping[Candidate, Row], before: Noise
) -> Posterior | None:
    """Draws of the true scores of a round's contenders."""
    contenders, beside = telling(round_, rows)
    return posterior(
        contenders,
        beside=beside,
        paired=problem.grown,
        before=before,
        generator=generator_of((problem.seed, round_.number, 0)),  # a race has stages from 1
        draws=DRAWS,
    )


def expected_fall(found: Posterior, at: Sequence[int], seeds: int, *, paired: bool) -> float:
    """How far the expected regret falls if some candidates are trained with so many further seeds.

    The true scores are taken as normal, with the mean and covariance of the draws.

    Args:
        found: draws of the true scores.
        at: the columns of the candidates that are trained.
        seeds: how many further seeds.
        paired: whether a seed does something to all of them, so that only their differences are told.
    """
    weights = found.weights
    mean = weights @ found.true
    centred = found.true - mean
    covariance = (weights[:, None] * centred).T @ centred
    of_seed = weights @ found.seed_variance  # (t,) the variance of one training
    by_seeds = np.maximum(weights @ found.errors - found.video_variance, 1e-12)
    now = by_seeds + found.video_variance
    later = of_seed / (of_seed / by_seeds + seeds) + found.video_variance
    news = 1 / (1 / later - 1 / now)  # (t,) the variance of a score that tells as much as the further seeds
    error = np.diag(news[at]) + (_SHARED if paired else 0.0)
    gain = covariance[:, at] @ np.linalg.inv(covariance[np.ix_(at, at)] + error)
    change = _normal(gain @ covariance[at, :])
    return float((mean + change).max(axis=1).mean() - mean.max())


def _normal(covariance: Array) -> Array:
    """(S, t) normal draws with this covariance and mean 0; those of equal covariances are equal."""
    values, vectors = np.linalg.eigh(covariance)
    half = np.random.Generator(np.random.Philox(key=0)).standard_normal((DRAWS // 2, len(values)))
    standard = np.concatenate([half, -half])  # so that their mean is 0
    drawn: Array = (standard * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return drawn
