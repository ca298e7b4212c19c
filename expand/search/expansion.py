"""Progressive expansion: the decisions of a search, and nothing else.

Pure: no torch, files, clock or randomness. Equal outcomes give an equal trajectory, so a run is resumed by
replaying what was measured, and a search is tested with a table instead of training.

Source: Feichtenhofer, CVPR 2020, section 3.2.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from expand.config.spaces import Space
from expand.system.errors import RunFailed, UserError
from expand.system.units import short_macs
from search_spaces.base import Axis

_MOST_STEPS = 1 << 20  # an axis whose cost has not moved after so many steps never will


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A network to be measured.

    Attributes:
        name: the axis, the target, or `start`; once in a round.
        axis: that was grown or contracted; None for the start.
        point: of the space.
        macs: multiply-adds per clip.
        parent: the network that was grown or contracted; None for the start.
    """

    name: str
    axis: str | None
    point: Any
    macs: int
    parent: Candidate | None = field(repr=False, hash=False)  # a chain, as long as the search


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A candidate's validation top-1, a share; the mean where there are several seeds."""

    top1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A candidate without a score, and why."""

    reason: str


Outcome = Scored | Failed


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """An accepted network: the start (step 0), or the winner of an expansion."""

    step: int
    candidate: Candidate
    top1: float

    @property
    def name(self) -> str:
        axis = self.candidate.axis
        return f"step-{self.step}" if axis is None else f"step-{self.step}-{axis}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What the search wants measured next.

    Attributes:
        number: 0 for the start, then one a round.
        kind: the start alone, one candidate an axis, or one candidate a target.
        states: accepted before this round, in order; an expansion grows the last.
        candidates: in the order of the axes, or of the targets.
        saturated: axes with no architecture in (1, step] × the last state's multiply-adds.
    """

    number: int
    kind: Literal["start", "expansion", "contraction"]
    states: tuple[State, ...]
    candidates: tuple[Candidate, ...]
    saturated: tuple[str, ...] = ()

    @property
    def parents(self) -> tuple[State, ...]:
        """The states that this round's candidates were grown or contracted from."""
        parents = {candidate.parent for candidate in self.candidates}
        return tuple(state for state in self.states if state.candidate in parents)


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetModel:
    """The network that meets a compute target: a state, or one contracted from the first state past it."""

    target: int
    state: State
    candidate: Candidate
    outcome: Outcome

    @property
    def name(self) -> str:
        return target_name(self.target)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """The result: the accepted states in order, and one model a target, in the order of their cost."""

    states: tuple[State, ...]
    targets: tuple[TargetModel, ...]


def expand(
    space: Space,
    *,
    axes: Mapping[str, Axis[Any]],
    targets: Sequence[int],
    step: float = 2.0,
    num_classes: int = 400,
) -> Generator[Round, Sequence[Outcome], Trajectory]:
    """Grow one axis a round until every target is passed; contract the last growth to each target.

    Yields a Round, and is sent one Outcome for each of its candidates, in their order:

        search = expand(space, axes=space.axes, targets=[80_000_000], num_classes=10)
        next(search)                            # Round 0: the start alone
        search.send([Scored(top1=.2)])          # Round 1: the start grown along each axis
        search.send([Scored(top1=.4), Failed(reason="out of memory"), ...])   # Round 2 grows the winner

    Several targets share the forward path: each is contracted from the first state that passes it, all in
    one last round, which there is only if a target isn't met by a state exactly.

    Raises:
        RunFailed: every candidate of a round failed, or no axis can grow and a target is not passed.
    """
    check_targets(space, targets, num_classes)
    wanted = sorted(set(targets))
    start = Candidate(
        name="start",
        axis=None,
        point=space.start,
        macs=macs_of(space, space.start, num_classes),
        parent=None,
    )
    round_ = Round(number=0, kind="start", states=(), candidates=(start,))
    states = [_winner(round_, (yield round_))]
    while states[-1].candidate.macs < wanted[-1]:
        round_ = _expansion(space, axes, states, step, num_classes)
        if not round_.candidates:
            raise RunFailed(
                f"no axis can grow from {states[-1].name} ({states[-1].candidate.macs:,} MACs) within "
                f"{step:g} × its cost, but the target is {wanted[-1]:,} MACs: allow more axes or a larger "
                "search.step."
            )
        states.append(_winner(round_, (yield round_)))

    met = {target: _met(space, axes, states, target, num_classes) for target in wanted}
    scores: dict[Candidate, Outcome] = {s.candidate: Scored(top1=s.top1) for s in states}
    missing = tuple(candidate for _, candidate in met.values() if candidate not in scores)
    if missing:
        round_ = Round(number=round_.number + 1, kind="contraction", states=tuple(states), candidates=missing)
        outcomes = yield round_
        _check_not_all_failed(round_, outcomes)
        scores.update(zip(missing, outcomes, strict=True))
    return Trajectory(
        states=tuple(states),
        targets=tuple(
            TargetModel(target=target, state=state, candidate=candidate, outcome=scores[candidate])
            for target, (state, candidate) in met.items()
        ),
    )


def check_targets(space: Space, targets: Sequence[int], num_classes: int) -> None:
    """Raises UserError where there is no target, or one that the start already passes."""
    if not targets:
        raise UserError(
            "a search needs at least one compute target, got none: give one, such as --target 80M."
        )
    start = macs_of(space, space.start, num_classes)
    for target in targets:
        if target < start:
            raise UserError(
                f"target must be at least the start network's {start:,} MACs, got {target:,}: "
                "raise --target, or start from a smaller basis."
            )


def macs_of(space: Space, point: Any, num_classes: int) -> int:
    return space.complexity(space.architecture(point), num_classes).macs


def target_name(target: int) -> str:
    return f"target-{short_macs(target)}"


def largest(space: Space, axis: Axis[Any], point: Any, limit: float, num_classes: int) -> Any | None:
    """The point furthest up an axis whose multiply-adds do not exceed `limit`; None if one step is too far.

    By doubling, then bisection, since costs do not fall along an axis: about 2·log₂(steps) counts.
    """

    def within(steps: int) -> Any | None:
        moved = axis.move(space, point, steps)
        return moved if moved is not None and macs_of(space, moved, num_classes) <= limit else None

    if (best := within(1)) is None:
        return None
    low, high = 1, 2
    while high < _MOST_STEPS and (moved := within(high)) is not None:
        best, low, high = moved, high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if (moved := within(middle)) is None:
            high = middle
        else:
            best, low = moved, middle
    return best


def smallest_cut(space: Space, axis: Axis[Any], point: Any, limit: int, num_classes: int) -> Any | None:
    """The point least far down an axis whose multiply-adds do not exceed `limit`; None if there is none."""

    def within(steps: int) -> bool:
        moved = axis.move(space, point, -steps)
        return moved is None or macs_of(space, moved, num_classes) <= limit

    low, high = 0, 1
    while not within(high) and high < _MOST_STEPS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return axis.move(space, point, -high)


def _expansion(
    space: Space, axes: Mapping[str, Axis[Any]], states: Sequence[State], step: float, num_classes: int
) -> Round:
    base, candidates, saturated = states[-1].candidate, [], []
    for name, axis in axes.items():
        point = largest(space, axis, base.point, step * base.macs, num_classes)
        macs = macs_of(space, point, num_classes) if point is not None else 0
        if point is not None and macs > base.macs:
            candidates.append(Candidate(name=name, axis=name, point=point, macs=macs, parent=base))
        else:
            saturated.append(name)
    return Round(
        number=len(states),
        kind="expansion",
        states=tuple(states),
        candidates=tuple(candidates),
        saturated=tuple(saturated),
    )


def _winner(round_: Round, outcomes: Sequence[Outcome]) -> State:
    """The best top-1; ties go to the cheaper, then to the earlier axis. A failed candidate never wins."""
    _check_not_all_failed(round_, outcomes)
    scored = [
        (-outcome.top1, candidate.macs, place)
        for place, (candidate, outcome) in enumerate(zip(round_.candidates, outcomes, strict=True))
        if isinstance(outcome, Scored)
    ]
    top1, _, place = min(scored)
    return State(step=round_.number, candidate=round_.candidates[place], top1=-top1)


def _check_not_all_failed(round_: Round, outcomes: Sequence[Outcome]) -> None:
    reasons = [
        f"{candidate.name}: {outcome.reason}"
        for candidate, outcome in zip(round_.candidates, outcomes, strict=True)
        if isinstance(outcome, Failed)
    ]
    if len(reasons) == len(round_.candidates):
        raise RunFailed(f"every candidate of round {round_.number} failed: {'; '.join(reasons)}.")


def _met(
    space: Space, axes: Mapping[str, Axis[Any]], states: Sequence[State], target: int, num_classes: int
) -> tuple[State, Candidate]:
    """The first state that passes the target, and the candidate that meets it."""
    passing = next(place for place, state in enumerate(states) if state.candidate.macs >= target)
    state, grown = states[passing], states[passing].candidate
    if grown.macs == target or grown.axis is None:
        return state, grown
    before = states[passing - 1].candidate
    point = smallest_cut(space, axes[grown.axis], grown.point, target, num_classes)
    macs = macs_of(space, point, num_classes) if point is not None else 0
    if macs <= before.macs:  # nothing lies between: the state before is the largest within the target
        return state, before
    return state, Candidate(name=target_name(target), axis=grown.axis, point=point, macs=macs, parent=grown)
