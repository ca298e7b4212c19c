"""What the trainings of a round say about its candidates: which is best, how surely, and what a choice costs.

Scores of trainings scatter: with the seed, and with the videos that happen to be in the validation split. A
candidate's *true score* is the mean over all seeds and all videos of the kind. `believe` draws the true
scores of all candidates from their posterior, given the scores measured; a probability is a share of draws.

The model, with candidates i and seeds n:

    score[i, n] = true[i] + shared[n] + noise[i, n] + videos[i]

- shared[n] is what all candidates of a seed have in common, such as the weights that they were grown from.
  It is estimated, and taken off, so candidates are compared in pairs that share a seed.
- noise[i, n] is normal. Its variance is that of the candidate's own seeds, drawn towards the variance of all
  candidates of all rounds, which counts as four seeds. Few seeds tell the latter badly, so it is drawn, too:
  with two seeds of about 1.4 points beforehand. A candidate of which some trainings got stuck scatters far
  more than all others, and says nothing of their noise.
- videos[i] is the luck of the validation videos, the same in all seeds. Its variance follows from how far
  the candidates differ from video to video: a two-way analysis of variance, as in Owen (2007), The pigeonhole
  bootstrap.
- The true scores of a round are normal around their mean. How far they scatter is unknown: from 0.5 to 20
  points, each doubling alike. So candidates that are alike are not taken for different because one of them is
  bound to score best.

Shapes: k candidates, N seeds, V validation videos, D draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expand.jobs.per_video import unpack_scores
from expand.search.base import Outcome, Scored
from expand.search.decision import Belief, Beliefs, Noise

DRAWS = 4_096
_PRIOR_NOISE = Noise(squares=0.02**2, freedom=2)  # what is believed of the noise before the first training
_PRIOR_SEEDS = 4  # how many seeds of its own the variance of all candidates counts as
_STUCK = 0.1  # the standard deviation above which some trainings of a candidate may have got stuck
_APART = 5.0  # times that of the others, above which they have
_SPREADS = np.geomspace(0.005, 0.2, 16)  # how far true scores of a round may scatter, as standard deviations

Array = NDArray[np.float64]


def believe(
    outcomes: Sequence[Sequence[Outcome | None]],
    *,
    beside: Sequence[Sequence[Outcome | None]] = (),
    margin: float,
    paired: bool,
    before: Noise,
    key: Sequence[int],
    draws: int,
    video_variance: Sequence[float] | None = None,
) -> Beliefs | None:
    """The beliefs about the candidates of a round.

    Args:
        outcomes: for each candidate, the outcome of each seed; None: not trained with this seed. All
            candidates have the seeds in the same order. Trainings that failed or learned nothing say nothing
            of the true score, and are left out.
        beside: the outcomes of networks that are none of the candidates, but have the same seeds, such as
            the control: what a seed shares is told from them, too.
        margin: how far below the best a score may be and count as good as it.
        paired: whether candidates of the same seed have something in common.
        before: the scatter between seeds in earlier rounds.
        key: numbers that name this decision, such as the seed of the search, the round and the stage. Equal
            keys and outcomes give equal beliefs.
        draws: of the true scores.
        video_variance: of each candidate's mean, the part that is due to the choice of validation videos;
            None: it is told from the scores of single videos.

    Returns:
        None if nothing can be said: no training has learned, or candidates have one seed and are to have no
        more, and there is no noise of earlier rounds to judge it by.
    """
    generator = generator_of(key)
    found_true = posterior(
        outcomes,
        beside=beside,
        paired=paired,
        before=before,
        generator=generator,
        draws=draws,
        video_variance=video_variance,
    )
    if found_true is None:
        return None
    told, true, weights = found_true.told, found_true.true, found_true.weights
    repeated = true + generator.standard_normal(true.shape) * np.sqrt(found_true.errors)
    again = np.bincount(repeated.argmax(axis=1), weights=weights, minlength=len(told))
    expected = weights @ true
    deviation = np.sqrt(weights @ np.square(true - expected))
    top = true.max(axis=1)
    best = np.bincount(true.argmax(axis=1), weights=weights, minlength=len(told))
    found: list[Belief | None] = [None] * len(outcomes)
    for at, candidate in enumerate(told):
        behind = top - true[:, at]
        found[candidate] = Belief(
            mean=float(expected[at]),
            deviation=float(deviation[at]),
            best=float(best[at]),
            within=min(1.0, float(weights @ (behind <= margin))),
            regret=float(weights @ behind),
            again=float(again[at]),
        )
    return Beliefs(
        of=tuple(found),
        leader=told[int(np.argmax(expected))],
        noise=found_true.noise,
        video_variance=float(found_true.video_variance.mean()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Posterior:
    """Draws of what may be true of the candidates of a round, given what was measured of them.

    Attributes:
        told: (t) the places of the candidates of which something is known, in order; the columns are theirs.
        true: (D, t) their true scores.
        weights: (D,) the weights of the draws, which sum to 1.
        seed_variance: (D, t) the variance of the score of a training between seeds.
        video_variance: (t,) the variance of a mean that is due to the choice of validation videos.
        errors: (D, t) the variances of the measured means around the true scores.
        noise: the scatter between seeds in this round alone.
    """

    told: tuple[int, ...]
    true: Array
    weights: Array
    seed_variance: Array
    video_variance: Array
    errors: Array
    noise: Noise


def posterior(
    outcomes: Sequence[Sequence[Outcome | None]],
    *,
    beside: Sequence[Sequence[Outcome | None]] = (),
    paired: bool,
    before: Noise,
    generator: np.random.Generator,
    draws: int,
    video_variance: Sequence[float] | None = None,
) -> Posterior | None:
    """Draw the true scores of the candidates of a round, and the noise between their seeds.

    Args and what None means: see `believe`; `generator` draws the rest.
    """
    scores = _scores((*outcomes, *beside))
    filled = [i for i, row in enumerate(scores) if np.isfinite(row).any()]
    told = tuple(i for i in filled if i < len(outcomes))
    if not told:
        return None
    fit = _fit(scores[filled], paired=paired)
    noise = before + fit.noise
    if noise.variance is None and scores.shape[1] == 1:
        return None
    seeds, mean, squares = fit.seeds[: len(told)], fit.mean[: len(told)], fit.squares[: len(told)]
    worth = fit.worth[: len(told)]
    of_all = (noise.squares + _PRIOR_NOISE.squares) / generator.chisquare(
        noise.freedom + _PRIOR_NOISE.freedom, size=(draws, 1)
    )
    freedom = _PRIOR_SEEDS + seeds
    drawn = (_PRIOR_SEEDS * of_all + squares) / generator.chisquare(freedom, size=(draws, len(told)))
    if video_variance is None:
        of_videos = _of_videos([outcomes[i] for i in told])
    else:
        of_videos = np.array([video_variance[i] for i in told])
    errors: Array = drawn / worth + of_videos  # (D, k) variances of the means
    true, weights = _true_scores(mean, errors, generator)
    return Posterior(
        told=told,
        true=true,
        weights=weights,
        seed_variance=drawn,
        video_variance=of_videos,
        errors=errors,
        noise=fit.noise,
    )


def scatter(outcomes: Sequence[Sequence[Outcome | None]], *, paired: bool) -> Noise:
    """The scatter between seeds in a round alone; the arguments are those of `believe`."""
    scores = _scores(outcomes)
    filled = np.isfinite(scores).any(axis=1)
    return _fit(scores[filled], paired=paired).noise if filled.any() else Noise()


def generator_of(key: Sequence[int]) -> np.random.Generator:
    """A generator whose numbers depend on the key alone."""
    return np.random.Generator(np.random.Philox(key=_mixed(key)))


def _scores(outcomes: Sequence[Sequence[Outcome | None]]) -> Array:
    """(rows, N) the scores; NaN: there is none, or nothing was learned."""
    return np.array([[_score(one) for one in row] for row in outcomes])


def _score(outcome: Outcome | None) -> float:
    """The score of a training that has learned something, else NaN."""
    return outcome.score if isinstance(outcome, Scored) and outcome.learned else np.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    """The means of candidates without what seeds share.

    Attributes:
        mean: (k,) the means.
        seeds: (k,) numbers of seeds.
        worth: (k,) numbers of seeds that a mean is worth in a comparison with the others; less than `seeds`
            where the others lack some of them.
        squares: (k,) sums of squares around them, as if they had lost one degree of freedom each.
        noise: their sum, with the degrees of freedom that are left.
    """

    mean: Array
    seeds: NDArray[np.integer]
    worth: Array
    squares: Array
    noise: Noise


def _fit(scores: Array, *, paired: bool) -> _Fit:
    """Fit the (k, N) scores by least squares: candidates, and seeds if they are paired; NaN: no score."""
    known = np.isfinite(scores)
    k, seeds = len(scores), known.sum(axis=1)
    filled = np.where(known, scores, 0.0)
    shares = (known.sum(axis=0) > 1) & paired  # the seeds in which candidates are compared
    together, count = known[:, shares].astype(np.float64), known[:, shares].sum(axis=0)
    # The normal equations of the means, after what the seeds share is eliminated.
    information = np.diag(seeds) - (together / count) @ together.T
    inverse = np.linalg.pinv(information, rcond=1e-9)
    mean = inverse @ (filled.sum(axis=1) - together @ (filled[:, shares].sum(axis=0) / count))
    left = np.zeros(scores.shape[1])  # what a seed shares
    left[shares] = (filled[:, shares] - together * mean[:, None]).sum(axis=0) / count
    free = bool(shares.any()) and np.allclose(
        information.sum(axis=0), 0
    )  # the means are known up to a constant
    if free:
        middle = left[shares].mean()
        mean, left = mean + middle, left - np.where(shares, middle, 0.0)
    residual = np.where(known, filled - mean[:, None] - left, 0.0)
    squares = (residual**2).sum(axis=1)
    own = float((seeds - 1).sum())  # degrees of freedom before those of the seeds are taken off
    freedom = max(0.0, own - len(count) + free)
    alike = _alike(squares, seeds - 1)
    counted = float((seeds - 1)[alike].sum()) / own if own else 1.0
    centred = np.eye(k) - 1 / k
    variances = np.diag(centred @ inverse @ centred)  # of a mean less that of all, in units of the noise
    return _Fit(
        mean=mean,
        seeds=seeds,
        worth=(1 - 1 / k) / variances if shares.any() else seeds.astype(np.float64),
        squares=squares * own / freedom if freedom else np.zeros(k),
        noise=Noise(squares=float(squares[alike].sum()) if freedom else 0.0, freedom=counted * freedom),
    )


def _alike(squares: Array, freedom: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which candidates scatter by the noise that all have: not those of which some trainings got stuck.

    Such a one has a standard deviation of more than `_STUCK`, and of more than `_APART` times that of the
    others together. There are two others at least.

    Args:
        squares: (k,) sums of squares around the means.
        freedom: (k,) their degrees of freedom.
    """
    alike = np.ones(len(squares), np.bool_)
    while (alike & (freedom > 0)).sum() > 2:
        variance = np.where(alike & (freedom > 0), squares / np.maximum(freedom, 1), 0.0)
        widest = int(np.argmax(variance))
        rest = alike.copy()
        rest[widest] = False
        others = float(squares[rest].sum() / freedom[rest].sum())
        if variance[widest] <= max(_STUCK**2, _APART**2 * others):
            break
        alike = rest
    return alike


def _of_videos(outcomes: Sequence[Sequence[Outcome | None]]) -> Array:
    """(k,) the variance of each candidate's mean that is due to the choice of validation videos.

    It is the variance from video to video of what sets a candidate apart from the others, over the number of
    videos, without the part that scatters from seed to seed, which the seeds' own variance holds already. It
    is zero where the scores of single videos are not known.
    """
    by_seed = [[_videos(one) for one in row if np.isfinite(_score(one))] for row in outcomes]
    if len(by_seed) < 2 or any(one is None for row in by_seed for one in row):
        return np.zeros(len(outcomes))
    stacks = [np.stack([one for one in row if one is not None]) for row in by_seed]
    labelled = np.isfinite(stacks[0][0])
    stacks = [stack[:, labelled] for stack in stacks]
    k, videos = len(stacks), int(labelled.sum())
    means = np.stack([stack.mean(axis=0) for stack in stacks])  # (k, V)
    apart = means - means.mean(axis=0)
    between = apart.var(axis=1, ddof=1) * k / (k - 1)
    within = np.array([_of_seeds(stack) for stack in stacks])
    return np.asarray(np.maximum(0.0, between - within) / videos)


def _of_seeds(stack: Array) -> float:
    """The variance of a video's mean score that is due to the seeds, from (n, V) scores; 0 for one seed."""
    seeds = len(stack)
    if seeds < 2:
        return 0.0
    centred: Array = stack - stack.mean(axis=1, keepdims=True)  # without what a seed does to all videos
    centred = centred - centred.mean(axis=0)
    squares: Array = np.square(centred)
    return float(squares.mean()) / (seeds - 1)


def _videos(outcome: Outcome | None) -> Array | None:
    """(V,) the scores of single videos; None: not known."""
    if not isinstance(outcome, Scored) or outcome.video_scores is None:
        return None
    return unpack_scores(outcome.video_scores).astype(np.float64)


def _true_scores(mean: Array, errors: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """(D, k) draws of the true scores, and (D,) their weights, which sum to 1.

    Args:
        mean: (k,) the measured means.
        errors: (D, k) a draw of the means' variances.
        generator: draws the rest.
    """
    draws, k = len(errors), len(mean)
    spread = _SPREADS**2
    precision = 1 / (errors[:, None, :] + spread[:, None])  # (D, spreads, k)
    total = precision.sum(axis=2)
    centre: Array = (precision * mean).sum(axis=2) / total
    squares: Array = (precision * (mean - centre[:, :, None]) ** 2).sum(axis=2)
    log_likelihood = 0.5 * (np.log(precision).sum(axis=2) - np.log(total) - squares)
    likelihood = np.exp(log_likelihood - log_likelihood.max())  # (D, spreads)
    cumulated = np.cumsum(likelihood, axis=1)
    chosen = (cumulated < generator.random(draws)[:, None] * cumulated[:, -1:]).sum(axis=1)
    at = (np.arange(draws), np.minimum(chosen, len(spread) - 1))
    middle = centre[at] + generator.standard_normal(draws) / np.sqrt(total[at])
    pull = spread[at[1]][:, None] / (spread[at[1]][:, None] + errors)
    true = middle[:, None] + pull * (mean - middle[:, None])
    true += generator.standard_normal((draws, k)) * np.sqrt(pull * errors)
    weights = cumulated[:, -1]
    return true, weights / weights.sum()


def _mixed(key: Sequence[int]) -> int:
    """One number of 128 bits from several, for Philox."""
    low, high = np.random.SeedSequence(list(key)).generate_state(2, np.uint64)
    return int(low) | int(high) << 64
