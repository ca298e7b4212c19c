"""Expansion that looks a round ahead where it cannot tell two candidates apart."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from expand.search.base import Candidate, Outcome, Problem, Round, State, Trajectory
from expand.search.budget import Purse
from expand.search.decision import Noise
from expand.search.expansion import Expansion, contracted
from expand.search.race import Raced, race
from expand.search.shares import best_of


class LookAhead(Expansion):
    """Grows the two likeliest candidates of a tie, too, and keeps the one from which more has come.

    Where the last round is a tie, both are contracted to the target, and the better one is what is found.
    There is one target.
    """

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; of two branches, one is raced after the other."""
        problem.check_targets()
        (target,) = problem.targets
        purse, noise = Purse(problem), Noise()
        branches = [[(yield from self.start(problem, purse))]]
        while branches[0][-1].candidate.cost < target:
            ended = list[tuple[list[State], Round, Raced]]()
            for states in branches:
                round_ = self.growth(problem, states)
                raced = yield from race(problem, round_, states[-1].score, noise, purse)
                ended.append((states, round_, raced))
            states, round_, raced = max(ended, key=lambda one: one[2].score)
            noise += raced.noise
            branches = [
                [*states, State(step=round_.number, candidate=one, score=raced.score)]
                for one in _followed(round_, raced)
            ]
        networks = [contracted(problem, states[-1].candidate, target) for states in branches]
        last = Round(
            number=branches[0][-1].step + 1, kind="contraction", trainings=problem.trainings(networks)
        )
        outcomes = last.by_candidate((yield last))
        last.check_not_all_failed(outcomes)
        return Trajectory(states=tuple(branches[0]), targets=(best_of(problem, target, outcomes),))


def _followed(round_: Round, raced: Raced) -> list[Candidate]:
    """The candidates that are grown further: the chosen one, and of a tie the likeliest of the others."""
    decision = raced.decision
    others = [one for one in round_.contenders if one.name in decision.tied and one != raced.chosen]
    beliefs = {one: belief.best for one in others if (belief := decision.belief_in(one.name)) is not None}
    rivals = sorted(beliefs, key=lambda one: -beliefs[one])
    return [raced.chosen, *rivals[:1]]
