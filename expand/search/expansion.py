"""Progressive expansion: grow one axis in each round, keep the best, contract the last growth to each target.

Source: Feichtenhofer, CVPR 2020, section 3.2.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from expand.search.axes import is_free, largest, smallest_cut
from expand.search.base import (
    Candidate,
    Outcome,
    Problem,
    Round,
    Scored,
    State,
    TargetModel,
    Trajectory,
)
from expand.system.errors import RunFailed


class Expansion:
    """Grows one axis in each round until every target is passed; contracts the last growth to each target.

    Several targets share the rounds of growth. For each target, the first accepted network whose cost reaches
    it is contracted, along the axis that was grown last, until its cost is within the target. All contracted
    networks are trained in one last round. That round is left out if accepted networks meet every target.

    Args:
        step: the largest factor by which a round may multiply the cost.
    """

    def __init__(self, *, step: float = 2.0) -> None:
        self._step = step

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`.

        Raises:
            RunFailed: every candidate of a round failed, or no axis can grow before every target is passed.
        """
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        round_ = Round(number=0, kind="start", trainings=problem.trainings([problem.start]))
        states = [round_.best((yield round_))]
        while states[-1].candidate.cost < wanted[-1]:
            round_ = self._expansion(problem, states)
            if not round_.trainings:
                raise RunFailed(
                    f"no axis can grow from {states[-1].name} ({states[-1].candidate.cost:,} "
                    f"{problem.cost.unit}) within {self._step:g} × its cost, but the target is "
                    f"{wanted[-1]:,} {problem.cost.unit}: allow more axes or a larger search.step."
                )
            states.append(round_.best((yield round_)))

        met = {target: _within_target(problem, states, target) for target in wanted}
        scores: dict[Candidate, Outcome] = {s.candidate: Scored(score=s.score) for s in states}
        missing = tuple(candidate for _, candidate in met.values() if candidate not in scores)
        if missing:
            round_ = Round(
                number=round_.number + 1,
                kind="contraction",
                states=tuple(states),
                trainings=problem.trainings(missing),
            )
            contracted = round_.by_candidate((yield round_))
            round_.check_not_all_failed(contracted)
            scores.update(contracted)
        return Trajectory(
            states=tuple(states),
            targets=tuple(
                TargetModel(
                    name=problem.target_name(target),
                    target=target,
                    state=state,
                    candidate=candidate,
                    outcome=scores[candidate],
                )
                for target, (state, candidate) in met.items()
            ),
        )

    def _expansion(self, problem: Problem, states: Sequence[State]) -> Round:
        """The round that grows the last state along each axis that it can grow along."""
        grown = states[-1].candidate
        candidates, saturated, free = [], [], []
        for name, axis in problem.axes.items():
            if is_free(problem, axis, grown.point):
                free.append(name)
                continue
            point = largest(problem, axis, grown.point, self._step * grown.cost)
            if point is not None and problem.cost_of(point) > grown.cost:
                candidates.append(problem.candidate(name, point, axis=name, parent=grown))
            else:
                saturated.append(name)
        return Round(
            number=states[-1].step + 1,
            kind="expansion",
            states=tuple(states),
            trainings=problem.trainings(candidates),
            saturated=tuple(saturated),
            free=tuple(free),
        )


def _within_target(problem: Problem, states: Sequence[State], target: int) -> tuple[State, Candidate]:
    """The first state whose cost reaches the target, and the candidate within the target that it leads to.

    That candidate is the state itself if its cost equals the target, else the state contracted along its
    axis, or the state before if no network lies between the two.
    """
    passing = next(index for index, state in enumerate(states) if state.candidate.cost >= target)
    state, grown = states[passing], states[passing].candidate
    if grown.cost == target or grown.axis is None:
        return state, grown
    before = states[passing - 1].candidate
    point = smallest_cut(problem, problem.axes[grown.axis], grown.point, target)
    if point is None or problem.cost_of(point) <= before.cost:
        return state, before  # no network lies between: the state before is the largest within the target
    name = problem.target_name(target)
    return state, problem.candidate(name, point, axis=grown.axis, parent=grown)
