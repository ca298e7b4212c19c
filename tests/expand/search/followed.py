"""A search whose outcomes a test makes up, from its first round to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from expand.search.base import Outcome, Round, Trajectory


def followed(
    search: Generator[Round, Sequence[Outcome], Trajectory], answer: Callable[[Round], Sequence[Outcome]]
) -> tuple[list[Round], Trajectory]:
    """The rounds that a search asks for, and its result.

    Args:
        search: from `Strategy.search`.
        answer: gives an outcome for each training of a round.
    """
    rounds = [next(search)]
    while True:
        try:
            rounds.append(search.send(answer(rounds[-1])))
        except StopIteration as end:
            return rounds, end.value
