"""The interface of strategies: a strategy yields rounds of trainings, and is sent the outcome of each.

A strategy is pure: equal outcomes give equal rounds. So a run is resumed by sending the measured outcomes
again, and a strategy is tested with a table of outcomes instead of trainings. Call by call:

    strategy = Expansion()
    search = strategy.search(problem)
    next(search)                  # Round 0: one Training, of the start network
    search.send([Scored(score=0.2)])      # Round 1: a Training for each axis along which the start can grow
    search.send([Scored(score=0.4), Failed(reason="out of memory"), …])  # Round 2: grows the best of round 1
    …
    search.send([…])              # raises StopIteration, whose value is the Trajectory
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from expand.config.spaces import Space
from expand.jobs.job import TRAIN_FACTOR
from expand.search.costs import MACS, Cost
from expand.search.decision import Decision
from expand.system.errors import RunFailed, UserError
from search_spaces.base import Axis


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A network to be trained and scored.

    Attributes:
        name: unique in its round: the axis, the target, or `start`, for example.
        axis: the axis along which it was grown or contracted; None: no single axis.
        point: the network's point in the search space.
        macs: multiply-adds per clip, from which the time of a training is forecast.
        cost: the cost that targets limit: multiply-adds, unless `search.cost` names another.
        parent: the candidate that was grown or contracted to this one, whose weights its training may start
            from; None: no parent, and so the weights that the search itself starts from, if it has any.
    """

    name: str
    axis: str | None
    point: Any = field(hash=False)  # name and cost tell candidates apart faster
    macs: int
    cost: int
    # Left out of repr and hash, because the parents form a chain back to the start.
    parent: Candidate | None = field(default=None, repr=False, hash=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One training that a strategy asks for.

    Attributes:
        candidate: the network.
        seed: seeds the initial weights, the augmentation of clips and their order.
        budget: multiplies the configured epochs or clips.
        rate: multiplies the configured learning rate.
        test: whether the network is also scored on the test videos. No strategy is sent these scores.
        settles: whether it was asked for after the race of its round, to settle it. No candidate grows from
            its weights, so the next round starts from the same ones, however often a round is settled.
    """

    candidate: Candidate
    seed: int
    budget: float = 1.0
    rate: float = 1.0
    test: bool = False
    settles: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """The score of a training, or of a candidate over its seeds, by the objective; larger is better.

    Attributes:
        score: the score.
        learned: whether the training has learned anything; of a candidate, whether any of its trainings has.
        video_scores: of a training, the scores of single validation videos, packed (jobs/per_video.py); None:
            not known.
    """

    score: float
    learned: bool = True
    video_scores: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A training, or a candidate, that failed and so has no score; `reason` is one line."""

    reason: str


Outcome = Scored | Failed

START = "start"  # the name of the start as a candidate; longer trainings of it have names that begin so
SETTLING = 5_000  # is added to the search's seed; seeds of races are far below, and fresh ones above
CONTROL = "control"  # the name of a round's control: the grown network itself, trained on like its candidates


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A network that the strategy accepted, to grow it further; `step` counts them, from 0 for the start."""

    step: int
    candidate: Candidate
    score: float

    @property
    def name(self) -> str:
        """The name of the model file without its suffix, such as `step-2-depth`."""
        axis = self.candidate.axis
        return f"step-{self.step}" if axis is None else f"step-{self.step}-{axis}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Trainings that do not depend on each other and so may run at the same time.

    Attributes:
        number: the round's number, from 0. Rounds with the same number are shown as one.
        kind: one word for tables; progressive expansion has start, expansion and contraction.
        states: the networks accepted before this round, in order.
        decisions: how the rounds before this one were decided, in order.
        so_far: how this round would be decided by its earlier trainings, of which these are the next, with
            further seeds; None: these are its first.
        trainings: in the order in which their outcomes must be sent.
        control: the candidate that is the grown network itself, trained on for as long as the others; what a
            candidate scores above it, growth has given. None: the round has none.
        saturated: axes that were left out because no larger network on them costs at most `search.step` times
            as much.
        free: axes that were left out because the cost does not change along them, so no limit of cost says
            how far to grow.
    """

    number: int
    kind: str
    trainings: tuple[Training, ...]
    states: tuple[State, ...] = ()
    decisions: tuple[Decision, ...] = ()
    so_far: Decision | None = None
    control: Candidate | None = None
    saturated: tuple[str, ...] = ()
    free: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The networks of the trainings, each once, in order."""
        return tuple(dict.fromkeys(training.candidate for training in self.trainings))

    @property
    def contenders(self) -> tuple[Candidate, ...]:
        """The candidates that may win the round: all but the control."""
        return tuple(candidate for candidate in self.candidates if candidate != self.control)

    @property
    def branch(self) -> str:
        """The axes along which the network was grown that this round grows, such as `temporal/fast`.

        `start`: it is the start.
        """
        return "/".join(str(state.candidate.axis) for state in self.states[1:]) or START

    @property
    def parents(self) -> tuple[State, ...]:
        """The states that this round's candidates were grown or contracted from."""
        parents = {candidate.parent for candidate in self.candidates}
        return tuple(state for state in self.states if state.candidate in parents)

    def by_candidate(self, outcomes: Sequence[Outcome]) -> dict[Candidate, Outcome]:
        """Each candidate's outcome over its seeds (`mean_over_seeds`), from one outcome for each training."""
        grouped: dict[Candidate, list[Outcome]] = {}
        for training, outcome in zip(self.trainings, outcomes, strict=True):
            grouped.setdefault(training.candidate, []).append(outcome)
        return {candidate: mean_over_seeds(group) for candidate, group in grouped.items()}

    def best(self, outcomes: Sequence[Outcome]) -> State:
        """The state of the candidate with the best score; of equal scores the cheaper one, then the earlier.

        The control does not count.

        Args:
            outcomes: one for each training, in order.

        Raises:
            RunFailed: no candidate has a score.
        """
        by_candidate = self.by_candidate(outcomes)
        contending = {candidate: by_candidate[candidate] for candidate in self.contenders}
        self.check_not_all_failed(contending)
        scores = {one: outcome.score for one, outcome in contending.items() if isinstance(outcome, Scored)}
        winner = max(scores, key=lambda one: (scores[one], -one.cost))  # the first of equal ones
        return State(step=self.number, candidate=winner, score=scores[winner])

    def check_not_all_failed(self, outcomes: Mapping[Candidate, Outcome]) -> None:
        """Raises RunFailed if no candidate has a score."""
        failed = [f"{one.name}: {got.reason}" for one, got in outcomes.items() if isinstance(got, Failed)]
        if len(failed) == len(outcomes):
            raise RunFailed(f"every candidate of round {self.number} failed: {'; '.join(failed)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetModel:
    """The network that a search found for a target.

    Attributes:
        name: the name of the model file without its suffix, such as `target-80M`.
        target: the target, in the unit of the search's cost.
        state: the accepted network that this one equals or was contracted from; None: the strategy accepts
            no states.
        candidate: the network.
        outcome: its score, or its failure.
    """

    name: str
    target: int
    state: State | None
    candidate: Candidate
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """The result of a search.

    Attributes:
        states: the accepted states in order, if any.
        targets: a model for each target, by cost.
        decisions: how each round was decided, if the strategy says so.
        stopped: why the search ended before every target was passed, in a sentence; None: it did not.
        confirmed: for each network that was trained again with fresh seeds (confirmation.py), the candidate
            by which it was.
    """

    states: tuple[State, ...]
    targets: tuple[TargetModel, ...]
    decisions: tuple[Decision, ...] = ()
    stopped: str | None = None
    confirmed: Mapping[Candidate, Candidate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """One of many repetitions of a search, in which scores are drawn instead of measured (stability.py).

    Attributes:
        number: the number of the repetition; each draws its beliefs by other random numbers.
        draws: of the true scores, for a belief; None: nothing is believed, as no decision depends on it.
        video_variances: by candidate, the variance of its score that is due to the choice of validation
            videos. A search tells it from the scores of single videos, which drawn scores come without.
    """

    number: int
    draws: int | None
    video_variances: Mapping[Candidate, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The most of a cost that any network of a search may have."""

    cost: Cost
    amount: int

    @property
    def words(self) -> str:
        """Such as `6 MB weights`."""
        return f"{self.cost.show(self.amount)} {self.cost.unit}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a strategy gets: the space, the axes, the targets and the cost that limits them.

    Attributes:
        space: the search space.
        axes: by name, the axes along which networks may grow.
        targets: limits of cost; for each, the strategy must find one network.
        num_classes: classes in the data; the cost of the classifier depends on it.
        cost: computes a network's cost.
        limits: amounts of other costs that no network may pass.
        seeds: the seeds of trainings, in order; a candidate is trained once with each that it gets.
        least: the number of seeds that every candidate gets; further ones only those that may be the best,
            while it is not sure enough which one is. None: every candidate gets all of them.
        confidence: the probability that counts as sure.
        margin: how far below the best score a score may be and count as good as it.
        grown: whether a candidate starts from the weights of its parent.
        match: whether the candidates of a round are made to cost about the same before they are compared.
        settled: by a round's branch, how many stages of further trainings its race is followed by.
        confirm: how often what was found is trained again with fresh seeds.
        budget: the multiply-adds that a strategy may spend on trainings (`spent`); None: as many as it asks
            for. What confirms its networks, or settles decisions later, is not counted.
        clips: that a candidate is trained on.
        test: whether there are test videos, on which what is trained again is scored too.
        repetition: which repetition of the search this is; None: the search itself.
        start_point: the point that the search starts from; None: the space's own start.
        seed: seeds the strategy's own random choices.
    """

    space: Space
    axes: Mapping[str, Axis[Any]]
    targets: Sequence[int]
    num_classes: int = 400
    cost: Cost = MACS
    limits: Sequence[Limit] = ()
    seeds: Sequence[int] = (0,)
    least: int | None = None
    confidence: float = 0.9
    margin: float = 0.01
    grown: bool = False
    match: bool = False
    settled: Mapping[str, int] = field(default_factory=dict)
    confirm: int = 0
    budget: float | None = None
    clips: int = 1
    test: bool = False
    repetition: Repetition | None = None
    start_point: Any = None

    @property
    def seed(self) -> int:
        """The seed of the strategy's own random choices."""
        return self.seeds[0]

    @property
    def first_seeds(self) -> Sequence[int]:
        """The seeds that every candidate is trained with."""
        return self.seeds[: self.least]

    @cached_property
    def settling_seeds(self) -> Sequence[int]:
        """The seeds of the trainings that settle decisions, in order."""
        first = self.seed + SETTLING
        return range(first, first + max(self.settled.values(), default=0))

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of all trainings by which rounds are decided, in order."""
        return (*self.seeds, *self.settling_seeds)

    @property
    def fixed(self) -> bool:
        """Whether every candidate is trained with every seed, and the best mean score decides."""
        return len(self.first_seeds) == len(self.seeds)

    @cached_property
    def start(self) -> Candidate:
        """The network that the search starts from, as a candidate."""
        return self.candidate(START, self.space.start if self.start_point is None else self.start_point)

    def candidate(
        self, name: str, point: Any, *, axis: str | None = None, parent: Candidate | None = None
    ) -> Candidate:
        """A candidate for a point, with its multiply-adds and its cost."""
        return Candidate(
            name=name,
            axis=axis,
            point=point,
            macs=macs_of(self.space, point, self.num_classes),
            cost=self.cost_of(point),
            parent=parent,
        )

    def cost_of(self, point: Any) -> int:
        """The cost of the network at a point, in the unit of the targets."""
        return self.cost.value(self.space, point, self.num_classes)

    def within(self, point: Any, cost: float) -> bool:
        """Whether the network at a point costs at most `cost`, and is within all limits."""
        return self.cost_of(point) <= cost and all(
            limit.cost.value(self.space, point, self.num_classes) <= limit.amount for limit in self.limits
        )

    def spent(self, trainings: Iterable[Training]) -> float:
        """The multiply-adds that trainings take: those of a clip × clips × TRAIN_FACTOR."""
        return sum(TRAIN_FACTOR * self.clips * one.budget * one.candidate.macs for one in trainings)

    def trainings(self, candidates: Sequence[Candidate]) -> tuple[Training, ...]:
        """A training for each candidate and each of the first seeds."""
        return tuple(Training(candidate=one, seed=seed) for one in candidates for seed in self.first_seeds)

    def target_name(self, target: int) -> str:
        """The name of a target's model file without its suffix, such as `target-80M`."""
        return f"target-{self.cost.short(target)}"

    def met_by(self, state: State, target: int) -> TargetModel:
        """The model of a target whose network is an accepted state."""
        return TargetModel(
            name=self.target_name(target),
            target=target,
            state=state,
            candidate=state.candidate,
            outcome=Scored(score=state.score),
        )

    def check_targets(self) -> None:
        """Raises UserError if there is no target, or if the start network passes a target or a limit."""
        if not self.targets:
            raise UserError(
                "a search needs at least one compute target, got none: give one, such as --target 80M."
            )
        start = self.start.cost
        smaller = "network (search.start)"
        if self.start_point is None:
            smaller = "basis (for x3d by --set space.settings.size=… or frames)"
        for target in self.targets:
            if target < start:
                raise UserError(
                    f"target must be at least the start network's {self.cost.show(start)} {self.cost.unit}, "
                    f"got {self.cost.show(target)}: raise --target, or start from a smaller {smaller}."
                )
        for limit in self.limits:
            least = limit.cost.value(self.space, self.start.point, self.num_classes)
            if limit.amount < least:
                raise UserError(
                    f"--at-most must be at least the start network's {limit.cost.show(least)} "
                    f"{limit.cost.unit}, got {limit.words}: raise it, or start from a smaller {smaller}."
                )


class Strategy(Protocol):
    """Chooses the networks to train. The class's constructor takes the config's `search.settings`."""

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """Yield rounds; each is answered by one outcome for each of its trainings, in order.

        Raises:
            UserError: before the first round, if no network can meet the problem's targets.
            RunFailed: later, if the search cannot continue, for example because every candidate failed.
        """
        ...


def mean_over_seeds(outcomes: Sequence[Outcome]) -> Outcome:
    """A candidate's outcome: the mean score of its trainings, or the first failure if any training failed."""
    scores, learned = [], False
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            return outcome
        scores.append(outcome.score)
        learned = learned or outcome.learned
    return Scored(score=sum(scores) / len(scores), learned=learned)


def network_key(space: Space, point: Any) -> object:
    """What makes two points the same network: equal architectures and equal clips."""
    return repr(space.architecture(point)), space.sampling(point)


def macs_of(space: Space, point: Any, num_classes: int) -> int:
    """Multiply-adds of the network at a point, for one clip."""
    return space.complexity(space.architecture(point), num_classes).macs
