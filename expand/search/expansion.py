"""Progressive expansion: grow one axis in each round, keep the best, contract the last growth to each target.

Source: Feichtenhofer, CVPR 2020, section 3.2.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from expand.search.axes import is_free, largest, matched, smallest_cut
from expand.search.base import (
    CONTROL,
    START,
    Candidate,
    Outcome,
    Problem,
    Round,
    Scored,
    State,
    TargetModel,
    Training,
    Trajectory,
)
from expand.search.budget import Purse
from expand.search.decision import Decision, Noise
from expand.search.race import Raced, race
from expand.system.errors import RunFailed
from expand.system.units import show_count


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A way to train the start: its budget and learning rate as multiples of the configured ones.

    Attributes:
        name: the candidate's name.
        budget, rate: see `Training`.
        seeds: added to the search's seeds.
    """

    name: str
    budget: float = 1.0
    rate: float = 1.0
    seeds: int = 0


# What is tried, one after the other, until the start has learned something.
ATTEMPTS = (
    Attempt(name=START),
    Attempt(name=f"{START}-longer", budget=3.0),
    Attempt(name=f"{START}-reseeded", budget=3.0, seeds=1_000),
    Attempt(name=f"{START}-slower", budget=3.0, rate=0.3, seeds=2_000),
)


class Expansion:
    """Grows one axis in each round until every target is passed; contracts the last growth to each target.

    Several targets share the rounds of growth. For each target, the first accepted network whose cost reaches
    it is contracted, along the axis that was grown last, until its cost is within the target. All contracted
    networks are trained in one last round. That round is left out if accepted networks meet every target.

    Where candidates start from what their parent has learned (`Problem.grown`), the start is trained until it
    has learned something: longer, then with other seeds, then at a lower rate. And each round trains the
    grown network itself, too, for as long as its candidates: the control. A round in which no candidate
    beats the control ends the growth.

    With a budget, a round that it does not pay for ends the growth, and a race ends where it does not pay for
    another stage. What contracting the last growth to the targets takes is held back.

    Args:
        step: the largest factor by which a round may multiply the cost.
        past_control: grow on even if no candidate of a round beats the control.
    """

    def __init__(self, *, step: float = 2.0, past_control: bool = False) -> None:
        self._step, self._past_control = step, past_control

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`.

        Raises:
            RunFailed: every candidate of a round failed, no axis can grow before every target is passed, or
                the start has learned nothing, where candidates start from what it has learned.
        """
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        purse = Purse(problem)
        states, stopped = [(yield from self.start(problem, purse))], None
        decisions, noise, number = list[Decision](), Noise(), 0
        while states[-1].candidate.cost < wanted[-1]:
            round_ = self.growth(problem, states)
            if not round_.trainings:
                stopped = self._outgrown(problem, states[-1], wanted[-1])
                if not problem.limits:
                    raise RunFailed(stopped)
                break
            purse.reserve = _contractions(problem, round_)
            if not purse.pays(round_.trainings):
                stopped = _too_dear(problem, round_)
                break
            raced = yield from race(
                problem, replace(round_, decisions=tuple(decisions)), states[-1].score, noise, purse
            )
            number = round_.number
            decisions.append(raced.decision)
            noise += raced.noise
            if raced.gain is not None and raced.gain <= 0 and not self._past_control:
                stopped = _stopped(round_, raced)
                break
            states.append(State(step=round_.number, candidate=raced.chosen, score=raced.score))

        met = {target: _within_target(problem, states, target) for target in wanted}
        scores: dict[Candidate, Outcome] = {state.candidate: Scored(score=state.score) for state in states}
        missing = tuple(candidate for _, candidate in met.values() if candidate not in scores)
        if missing:
            round_ = Round(
                number=number + 1,
                kind="contraction",
                states=tuple(states),
                decisions=tuple(decisions),
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
            decisions=tuple(decisions),
            stopped=stopped,
        )

    def start(self, problem: Problem, purse: Purse) -> Generator[Round, Sequence[Outcome], State]:
        """Train the start; where candidates start from it, until at least one training has learned something.

        Raises:
            UserError: the budget does not pay for the first trainings.
            RunFailed: every training failed, or none has learned anything.
        """
        for attempt in ATTEMPTS if problem.grown else ATTEMPTS[:1]:
            candidate = problem.candidate(attempt.name, problem.start.point)
            round_ = Round(
                number=0,
                kind="start",
                trainings=tuple(
                    Training(
                        candidate=candidate,
                        seed=seed + attempt.seeds,
                        budget=attempt.budget,
                        rate=attempt.rate,
                    )
                    for seed in problem.first_seeds
                ),
            )
            if attempt is ATTEMPTS[0]:
                purse.check(round_.trainings)
            purse.spend(round_.trainings)
            outcomes = yield round_
            state = round_.best(outcomes)
            if not problem.grown or any(isinstance(one, Scored) and one.learned for one in outcomes):
                return state
        longest = max(attempt.budget for attempt in ATTEMPTS)
        raise RunFailed(
            f"the start must learn something before it is grown, but none of its "
            f"{len(ATTEMPTS) * len(problem.first_seeds)} trainings did, not even with {longest:g} times the "
            "epochs: give it more epochs, more videos, or a larger start (space.settings or search.start), "
            "or let every candidate start from random weights (--set training.init=scratch)."
        )

    def _outgrown(self, problem: Problem, state: State, target: int) -> str:
        """Why a state cannot grow along any axis."""
        show, unit = problem.cost.show, problem.cost.unit
        limits = "".join(f" and {one.words}" for one in problem.limits)
        more = "higher limits (--at-most), more axes" if problem.limits else "more axes"
        return (
            f"no axis can grow from {state.name} ({show(state.candidate.cost)} {unit}) within "
            f"{self._step:g} × its cost{limits}, but the target is {show(target)} {unit}: allow {more} or a "
            "larger search.step."
        )

    def growth(self, problem: Problem, states: Sequence[State]) -> Round:
        """The round that grows the last state along each axis that it can grow along."""
        grown = states[-1].candidate
        candidates, saturated, free = list[Candidate](), list[str](), list[str]()
        for name, axis in problem.axes.items():
            if is_free(problem, axis, grown.point):
                free.append(name)
                continue
            point = largest(problem, axis, grown.point, self._step * grown.cost)
            if point is not None and problem.cost_of(point) > grown.cost:
                candidates.append(problem.candidate(name, point, axis=name, parent=grown))
            else:
                saturated.append(name)
        if problem.match:
            candidates = matched(problem, candidates)
        control = None
        if problem.grown and candidates:
            control = problem.candidate(CONTROL, grown.point, parent=grown)
        return Round(
            number=states[-1].step + 1,
            kind="expansion",
            states=tuple(states),
            trainings=problem.trainings(candidates if control is None else [*candidates, control]),
            control=control,
            saturated=tuple(saturated),
            free=tuple(free),
        )


def _contractions(problem: Problem, round_: Round) -> float:
    """About what it takes to train a network for each target, contracted from a candidate of a round."""
    dearest = max(round_.contenders, key=lambda one: one.macs)
    shares = sum(min(1.0, target / dearest.cost) for target in set(problem.targets))
    return shares * problem.spent(problem.trainings([dearest]))


def _too_dear(problem: Problem, round_: Round) -> str:
    """Why a search stops before a round that its budget does not pay for."""
    assert problem.budget is not None, "without a budget, everything can be paid"
    takes = show_count(problem.spent(round_.trainings))
    return (
        f"search.budget, {show_count(problem.budget)} multiply-adds, does not pay for round {round_.number}, "
        f"which takes {takes}, and for what contracts it to the targets: a larger budget grows on."
    )


def _stopped(round_: Round, raced: Raced) -> str:
    """Why a search stops after a round in which no candidate beats the control."""
    control = raced.score - (raced.gain or 0.0)
    return (
        f"no candidate of round {round_.number} is better than the network it was grown from, trained on "
        f"for as long ({raced.chosen.name} {raced.score:.1%}, {CONTROL} {control:.1%}): more epochs or "
        "seeds may tell them apart, and --set search.settings.past_control=true grows on regardless."
    )


def _within_target(problem: Problem, states: Sequence[State], target: int) -> tuple[State, Candidate]:
    """The first state whose cost reaches the target, and the candidate within the target that it leads to.

    That candidate is the state itself if its cost equals the target, else the state contracted along its
    axis, or the state before if no network lies between the two. Where no state reaches the target, it is the
    last one.
    """
    passing = next((index for index, state in enumerate(states) if state.candidate.cost >= target), None)
    if passing is None:
        return states[-1], states[-1].candidate
    return states[passing], contracted(problem, states[passing].candidate, target)


def contracted(problem: Problem, grown: Candidate, target: int) -> Candidate:
    """A candidate whose cost reaches a target, contracted along its axis until its cost is within the target.

    It is the candidate itself if its cost equals the target, or it was not grown; and the network that it was
    grown from if no network lies between the two, as that one is the largest within the target.
    """
    if grown.cost == target or grown.axis is None or grown.parent is None:
        return grown
    point = smallest_cut(problem, problem.axes[grown.axis], grown.point, target)
    if point is None or problem.cost_of(point) <= grown.parent.cost:
        return grown.parent
    return problem.candidate(problem.target_name(target), point, axis=grown.axis, parent=grown)
