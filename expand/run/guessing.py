"""Whether a search has found anything: scores against guessing, and networks against cheaper ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from expand.run.record import RunRecord
from expand.run.rows import ModelRow, TargetRow
from expand.training.objectives import Chance

_RARE = 0.05  # a score that guessing reaches in no more than this share of searches is better than guessing


@dataclass(frozen=True, kw_only=True, slots=True)
class Guessing:
    """The best score of a search beside those of guessing.

    Attributes:
        chance: the score of a network that guesses, and what it does.
        best: the best score of a candidate.
        candidates: how many candidates have a score; the best of many guesses is better than one.
        needed: the lowest score that is better than guessing; above 1 where no score is, and just above
            chance's where the spread of the objective is not known.
    """

    chance: Chance
    best: float
    candidates: int
    needed: float

    @property
    def beaten(self) -> bool:
        """Whether the best score is better than guessing."""
        return self.best >= self.needed


def guessing(record: RunRecord) -> Guessing | None:
    """The best score of a search beside those of guessing; None: there is no score, or no chance is known."""
    chance, scores = record.chance, [row.score for row in record.measured]
    if chance is None or not scores:
        return None
    needed = math.nextafter(chance.score, 2)
    if chance.videos is not None:
        needed = least_beyond_chance(chance.score, chance.videos, len(scores))
    return Guessing(chance=chance, best=max(scores), candidates=len(scores), needed=needed)


def found_something(record: RunRecord) -> bool:
    """Whether a search has learned something, and scores better than guessing, as far as that is known."""
    found = guessing(record)
    return record.learned and (found is None or found.beaten)


def least_beyond_chance(share: float, videos: int, candidates: int) -> float:
    """The lowest score that the best of some candidates that all guess reaches in at most 5 % of searches.

    The videos that a guess gets right are binomial. The mean over seeds is taken to scatter as one training
    does, since trainings that guess may do so alike; so the bound is a little too high where they do not.

    Args:
        share: the probability that a guess is right for a video.
        videos: how many there are.
        candidates: how many guess.

    Returns:
        A multiple of 1 / `videos`; above 1 where even all videos right may be a guess.
    """
    if share >= 1:
        return (videos + 1) / videos
    rare = -math.expm1(math.log1p(-_RARE) / candidates)  # for each, such that the best of all has _RARE
    right, beyond = videos + 1, 0.0
    while right > 0:
        beyond += _probability(right - 1, videos, share)
        if beyond > rare:
            break
        right -= 1
    return right / videos


def _probability(right: int, videos: int, share: float) -> float:
    """The binomial probability that so many videos are right."""
    ways = math.lgamma(videos + 1) - math.lgamma(right + 1) - math.lgamma(videos - right + 1)
    return math.exp(ways + right * math.log(share) + (videos - right) * math.log1p(-share))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cheaper:
    """A network on the path that costs less than a target's, and scores no less.

    Attributes:
        target: the target's network.
        instead: the cheaper one.
        scores: of the two, in this order; both by fresh seeds or both by those that chose them.
        fresh: whether they are by fresh seeds.
    """

    target: TargetRow
    instead: ModelRow
    scores: tuple[float, float]
    fresh: bool


def cheaper_ones(record: RunRecord) -> Iterator[Cheaper]:
    """For each target, the best of the networks that cost less and score no less, if there is one."""
    models = [row for row in record.trajectory if row.seeds.mean is not None]
    for target in record.targets:
        compared = (_compared(target, row) for row in models if row.network.cost < target.network.cost)
        better = [one for one in compared if one.scores[1] >= one.scores[0]]
        if better:
            yield max(better, key=lambda one: (one.scores[1] - one.scores[0], -one.instead.network.cost))


def _compared(target: TargetRow, row: ModelRow) -> Cheaper:
    if target.fresh is not None and row.fresh is not None:
        again, other = target.fresh.mean, row.fresh.mean
        if again is not None and other is not None:
            return Cheaper(target=target, instead=row, scores=(again, other), fresh=True)
    return Cheaper(target=target, instead=row, scores=(target.score, row.score), fresh=False)


def to_use(record: RunRecord) -> ModelRow:
    """The network to go on with: the last one with a model, or the cheaper one that scores no less."""
    last = [row for row in record.trajectory if row.state == "done"][-1]
    return next((one.instead for one in cheaper_ones(record) if one.target == last), last)
