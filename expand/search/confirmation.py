"""Trains what a search has found again, with seeds that had no part in choosing it.

The winner of a round was chosen for its score, so its score is more likely too high than too low. Fresh seeds
say what it is worth; most of all on test videos, where the data have some, since the validation videos had a
part in choosing it too.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from expand.search.base import Candidate, Outcome, Problem, Round, Scored, Training, Trajectory

CONFIRMATION = "confirmation"  # the kind of the round
_FRESH = "-fresh"  # ends the name of a candidate that is trained again
_FIRST = 10_000  # is added to the search's seed; the seeds that choose are far below


def then_confirmed(
    problem: Problem, search: Generator[Round, Sequence[Outcome], Trajectory]
) -> Generator[Round, Sequence[Outcome], Trajectory]:
    """A search, and after it a round that trains its networks `problem.confirm` times with fresh seeds.

    The start is left out, since nothing has chosen it, and so are networks that failed.
    """
    number, round_ = 0, next(search)
    try:
        while True:
            number = round_.number
            round_ = search.send((yield round_))
    except StopIteration as end:
        found: Trajectory = end.value
    again = _to_confirm(found)
    if not problem.confirm or not again:
        return found
    seeds = range(problem.seed + _FIRST, problem.seed + _FIRST + problem.confirm)
    yield Round(
        number=number + 1,
        kind=CONFIRMATION,
        states=found.states,
        decisions=found.decisions,
        trainings=tuple(
            Training(candidate=one, seed=seed, test=problem.test) for one in again.values() for seed in seeds
        ),
    )
    return replace(found, confirmed=again)


def _to_confirm(found: Trajectory) -> dict[Candidate, Candidate]:
    """For each network that a search has chosen, the candidate by which it is trained again.

    It has a name that no candidate of the search has: with that of the target, it would be the candidate that
    the search has trained, and its scores would count among those by which this one was chosen.
    """
    models = {state.candidate: state.name for state in found.states[1:]}
    start = {state.candidate for state in found.states[:1]}
    for model in found.targets:
        if isinstance(model.outcome, Scored) and model.candidate not in start:
            models.setdefault(model.candidate, model.name)
    return {candidate: replace(candidate, name=f"{name}{_FRESH}") for candidate, name in models.items()}
