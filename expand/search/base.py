"""The contract between a search and its strategy: which networks to train next, from what came of others.

A strategy is pure: equal outcomes give equal rounds. So a run is resumed by replaying what was measured, and
a strategy is tested with a table instead of training. What happens, call by call:

    strategy = Expansion()
    search = strategy.search(problem)
    next(search)                  # Round 0: one Training, of the start network
    search.send([Scored(score=0.2)])                  # Round 1: a Training of each way to grow it
    search.send([Scored(score=0.4), Failed(reason="out of memory"), …])       # Round 2: the best was grown
    …
    search.send([…])              # raises StopIteration, whose value is the Trajectory: what was found
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from expand.config.spaces import Space
from expand.search.costs import MACS, Cost
from expand.system.errors import RunFailed, UserError
from search_spaces.base import Axis


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A network to be measured.

    Attributes:
        name: such as the axis, the target, or `start`; once in a round.
        axis: that was grown or contracted; None: none in particular.
        point: of the space.
        macs: multiply-adds per clip, which say how long its training takes.
        cost: what the search counts, which are the multiply-adds unless it was told otherwise.
        parent: the network that was grown or contracted, whose weights it may start from; None: it has none.
    """

    name: str
    axis: str | None
    point: Any
    macs: int
    cost: int
    parent: Candidate | None = field(default=None, repr=False, hash=False)  # a chain, as long as the search


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One training that a strategy asks for.

    Attributes:
        candidate: what is trained.
        seed: of its weights, its clips and its order.
        budget: the share of the configured epochs or clips that it gets.
    """

    candidate: Candidate
    seed: int
    budget: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What the objective gives a training, or a candidate over its seeds; larger is better."""

    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A training, or a candidate, without a score, and why."""

    reason: str


Outcome = Scored | Failed


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A network that the strategy accepted and went on from; the start is step 0."""

    step: int
    candidate: Candidate
    score: float

    @property
    def name(self) -> str:
        axis = self.candidate.axis
        return f"step-{self.step}" if axis is None else f"step-{self.step}-{axis}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Trainings that may be made at the same time.

    Attributes:
        number: from 0 on; several batches of one round have the same number.
        kind: in a word, for tables: progressive expansion has start, expansion and contraction.
        states: accepted before this round, in order.
        trainings: in the order in which their outcomes are sent.
        saturated: axes with no network whose cost lies within a step.
        free: axes along which the cost does not change, so that it cannot say how far to go.
    """

    number: int
    kind: str
    trainings: tuple[Training, ...]
    states: tuple[State, ...] = ()
    saturated: tuple[str, ...] = ()
    free: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The networks of its trainings, each once, in order."""
        return tuple(dict.fromkeys(training.candidate for training in self.trainings))

    @property
    def parents(self) -> tuple[State, ...]:
        """The states that this round's candidates were grown or contracted from."""
        parents = {candidate.parent for candidate in self.candidates}
        return tuple(state for state in self.states if state.candidate in parents)

    def by_candidate(self, outcomes: Sequence[Outcome]) -> dict[Candidate, Outcome]:
        """What came of each candidate over its seeds."""
        own: dict[Candidate, list[Outcome]] = {}
        for training, outcome in zip(self.trainings, outcomes, strict=True):
            own.setdefault(training.candidate, []).append(outcome)
        return {candidate: mean_over_seeds(ones) for candidate, ones in own.items()}

    def check_not_all_failed(self, outcomes: Mapping[Candidate, Outcome]) -> None:
        """Raises RunFailed where no candidate has a score."""
        failed = [f"{one.name}: {got.reason}" for one, got in outcomes.items() if isinstance(got, Failed)]
        if len(failed) == len(outcomes):
            raise RunFailed(f"every candidate of round {self.number} failed: {'; '.join(failed)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetModel:
    """The network that was found for a target.

    Attributes:
        name: of its model file, such as `target-80M`.
        target: in what the search counts.
        state: that it is, or was contracted from; None: the strategy accepts no states.
    """

    name: str
    target: int
    state: State | None
    candidate: Candidate
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """What was found: the accepted states in order, if any, and one model a target, from the cheapest on."""

    states: tuple[State, ...]
    targets: tuple[TargetModel, ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a strategy is asked to find networks for.

    Attributes:
        space: of the networks.
        axes: by name, along which it may move.
        targets: the most that the networks wanted may cost, one each.
        num_classes: that the networks tell apart; the cost depends on it.
        cost: what is counted.
        seeds: of the trainings of a candidate; the mean of their scores decides.
        seed: of the strategy's own choices.
    """

    space: Space
    axes: Mapping[str, Axis[Any]]
    targets: Sequence[int]
    num_classes: int = 400
    cost: Cost = MACS
    seeds: Sequence[int] = (0,)

    @property
    def seed(self) -> int:
        """Of the strategy's own random choices."""
        return self.seeds[0]

    @cached_property
    def start(self) -> Candidate:
        """The space's own start."""
        return self.candidate("start", self.space.start)

    def candidate(
        self, name: str, point: Any, *, axis: str | None = None, parent: Candidate | None = None
    ) -> Candidate:
        """A point as a candidate, counted."""
        return Candidate(
            name=name,
            axis=axis,
            point=point,
            macs=macs_of(self.space, point, self.num_classes),
            cost=self.cost_of(point),
            parent=parent,
        )

    def cost_of(self, point: Any) -> int:
        return self.cost.value(self.space, point, self.num_classes)

    def trainings(self, candidates: Sequence[Candidate]) -> tuple[Training, ...]:
        """All seeds of each."""
        return tuple(Training(candidate=one, seed=seed) for one in candidates for seed in self.seeds)

    def target_name(self, target: int) -> str:
        return f"target-{self.cost.short(target)}"

    def check_targets(self) -> None:
        """Raises UserError where there is no target, or one that the start already passes."""
        if not self.targets:
            raise UserError(
                "a search needs at least one compute target, got none: give one, such as --target 80M."
            )
        start = self.start.cost
        for target in self.targets:
            if target < start:
                raise UserError(
                    f"target must be at least the start network's {start:,} {self.cost.unit}, got "
                    f"{target:,}: raise --target, or start from a smaller basis."
                )


class Strategy(Protocol):
    """How networks are chosen. A class whose constructor takes the config's `search.settings`."""

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """Yield rounds, be sent an outcome for each of their trainings, in order; return what was found.

        Raises:
            UserError: the problem cannot be solved at all, before the first round.
            RunFailed: it cannot go on.
        """
        ...


def mean_over_seeds(outcomes: Sequence[Outcome]) -> Outcome:
    """A candidate's outcome: the mean of its trainings' scores, or the first failure if one failed."""
    scores = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            return outcome
        scores.append(outcome.score)
    return Scored(score=sum(scores) / len(scores))


def macs_of(space: Space, point: Any, num_classes: int) -> int:
    """Multiply-adds of one clip."""
    return space.complexity(space.architecture(point), num_classes).macs
