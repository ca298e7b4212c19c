"""Draws scores that a search could have measured, had it had other seeds and other validation videos.

See stability.py for what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from expand.search.base import Candidate, Outcome, Problem, Round, Scored
from expand.search.beliefs import DRAWS, generator_of, posterior, scatter
from expand.search.confirmation import CONFIRMATION
from expand.search.decision import Noise

AS_MEASURED = ("start", "contraction", CONFIRMATION)  # kinds of rounds that choose no axis


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnScores:
    """The drawn outcomes of all rounds.

    Attributes:
        places: the place of each seed.
        rows: by round and candidate: for each replay, an outcome for each seed.
        video_variances: see `Repetition`.
    """

    places: Mapping[int, int]
    rows: Mapping[tuple[int, Candidate], Sequence[Sequence[Outcome]]]
    video_variances: Mapping[Candidate, float]

    def outcomes(self, round_: Round, replay: int) -> list[Outcome] | None:
        """The outcomes of a round in a replay; None: nothing is known of some of its networks."""
        found = list[Outcome]()
        for training in round_.trainings:
            row = self.rows.get((round_.number, training.candidate))
            place = self.places.get(training.seed)
            if row is None or place is None:
                return None
            found.append(row[replay][place])
        return found


def draw_scores(
    problem: Problem, decided: Sequence[tuple[Round, Sequence[Outcome]]], replays: int
) -> DrawnScores | None:
    """Draw the outcomes of the rounds that choose; None: there are none, or no telling how seeds scatter."""
    places = {seed: place for place, seed in enumerate(problem.all_seeds)}
    rounds = rows_of(problem, decided)
    noise = {number: scatter(list(rows.values()), paired=problem.grown) for number, rows in rounds.items()}
    if sum(noise.values(), Noise()).variance is None:
        return None

    drawn: dict[tuple[int, Candidate], list[list[Outcome]]] = {}
    video_variances: dict[Candidate, float] = {}
    for number, rows in rounds.items():
        generator = generator_of((problem.seed, number, 0))  # a race has stages from 1
        size = (replays, len(places))
        found = posterior(
            list(rows.values()),
            paired=problem.grown,
            before=sum((one for other, one in noise.items() if other != number), Noise()),
            generator=generator,
            draws=DRAWS,
        )
        scores = np.zeros((len(rows), *size))
        if found is not None:
            picked = generator.choice(DRAWS, size=replays, p=found.weights)
            luck = np.sqrt(found.video_variance) * generator.standard_normal((replays, len(found.told)))
            for column, at in enumerate(found.told):
                middle = found.true[picked, column] + luck[:, column]
                spread = np.sqrt(found.seed_variance[picked, column])
                scores[at] = middle[:, None] + spread[:, None] * generator.standard_normal(size)
        told = () if found is None else found.told
        variances = dict(zip(told, () if found is None else found.video_variance.tolist(), strict=True))
        for at, (candidate, row) in enumerate(rows.items()):
            had = [outcome for outcome in row if outcome is not None]
            like = generator.integers(len(had), size=size).tolist()
            drawn[number, candidate] = [
                [_like(had[which], score) for which, score in zip(*one, strict=True)]
                for one in zip(like, scores[at].tolist(), strict=True)
            ]
            video_variances[candidate] = variances.get(at, 0.0)
    return DrawnScores(places=places, rows=drawn, video_variances=video_variances)


def rows_of(
    problem: Problem, decided: Sequence[tuple[Round, Sequence[Outcome]]]
) -> dict[int, dict[Candidate, list[Outcome | None]]]:
    """By round and candidate, the outcome of each seed; None: not trained with it.

    Rounds that choose no axis are left out.
    """
    places = {seed: place for place, seed in enumerate(problem.all_seeds)}
    rounds: dict[int, dict[Candidate, list[Outcome | None]]] = {}
    for round_, outcomes in decided:
        if round_.kind in AS_MEASURED:
            continue
        rows = rounds.setdefault(round_.number, {})
        for training, outcome in zip(round_.trainings, outcomes, strict=True):
            row = rows.setdefault(training.candidate, [None] * len(places))
            if training.seed in places:
                row[places[training.seed]] = outcome
    return rounds


def _like(measured: Outcome, score: float) -> Outcome:
    """An outcome that ends as a measured one did: with a score, with nothing learned, or with a failure."""
    if isinstance(measured, Scored):
        return Scored(score=score) if measured.learned else replace(measured, video_scores=None)
    return measured
