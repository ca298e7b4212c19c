"""Whether a search, done again with other seeds and other validation videos, would find the same.

The search is replayed many times through its strategy, with scores that are drawn instead of measured. Each
replay draws, for every round,

- the true scores of its candidates and the noise between their seeds, as `beliefs.py` draws them from what
  was measured; the control counts as one of the candidates here;
- the luck that each candidate has with other validation videos, the same in all its seeds;
- a score for each seed around these, also for seeds that the search itself did not come to.

A training fails or learns nothing as often as the candidate's own trainings did. What the candidates of a
seed share is left out: a round trains all of them with the same seeds, so it decides nothing. The start, and
networks that are contracted to a target, are taken as they were measured, as no axis is chosen by them.

What no round of the search has trained, nothing is known of. So the first round that grows another network
than the search did can still be decided, and what comes after it is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from expand.config.spaces import Space
from expand.search.base import (
    Candidate,
    Outcome,
    Problem,
    Repetition,
    Round,
    Scored,
    State,
    Strategy,
    Training,
    Trajectory,
    network_key,
)
from expand.search.drawn_scores import AS_MEASURED, draw_scores
from expand.search.remembering import RememberingProblem
from expand.system.errors import RunFailed

REPLAYS = 1_000
_BELIEF_DRAWS = 128  # for each belief in a replay; 1,000 replays even out what so few draws are off by

# How a sequence of axes ends. whole: every target is passed. stopped: no candidate beat the control. failed:
# the search could not go on. unknown: what follows was never measured.
End = Literal["whole", "stopped", "failed", "unknown"]
_WORDS: dict[End, str] = {"whole": "", "stopped": "stop", "failed": "failure", "unknown": "unknown"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisSequence:
    """The axes along which a search grew, in order, and how it ended."""

    axes: tuple[str, ...]
    end: End

    @property
    def words(self) -> str:
        """The sequence in words, such as `fast, then unknown`."""
        grown, after = ", ".join(self.axes), _WORDS[self.end]
        return f"{grown}, then {after}" if grown and after else grown or after or "no growth"


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceShare:
    """A sequence of axes, the share of replays in which it comes out, and whether it is the search's own."""

    sequence: AxisSequence
    share: float
    own: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkShare:
    """A network, and the share of replays in which it comes out for a target.

    Attributes:
        candidate: the network, as one of the sequences comes to it; None: networks that are unknown.
        share: the share of replays.
        own: whether it is the network that the search itself found.
    """

    candidate: Candidate | None
    share: float
    own: bool

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes along which the network was grown."""
        return () if self.candidate is None else _axes_to(self.candidate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stability:
    """What comes out of a search, done again with other seeds and other validation videos.

    Attributes:
        replays: their number.
        sequences: the sequences of axes, the most frequent first, with the search's own one in any case; none
            if the strategy grows no networks.
        networks: by the name of each target, its networks, likewise.
    """

    replays: int
    sequences: tuple[SequenceShare, ...]
    networks: Mapping[str, tuple[NetworkShare, ...]]

    @property
    def same_sequence(self) -> float | None:
        """The share of replays with the search's own sequence; None: the strategy grows no networks."""
        return next((one.share for one in self.sequences if one.own), None)

    @property
    def same_networks(self) -> dict[str, float]:
        """By target, the share of replays with the search's own network, where it has found one."""
        return {name: one.share for name, found in self.networks.items() for one in found if one.own}


def stability(
    strategy: Strategy, problem: Problem, measured: Mapping[Training, Outcome], *, replays: int = REPLAYS
) -> Stability | None:
    """Replay a search with drawn scores, and count what comes out. Equal arguments give equal counts.

    Args:
        strategy: of the search.
        problem: of the search.
        measured: the outcomes of its trainings; of an unfinished search, those so far. A round that is not
            decided yet counts as not measured.
        replays: their number.

    Returns:
        None if nothing can be said: no round is decided yet, or no candidate has two trainings by which to
        judge the noise between seeds.
    """
    problem = RememberingProblem.of(problem)
    search = _follow(strategy, problem, lambda round_: _as_measured(round_, measured))
    drawn = draw_scores(problem, search.decided, replays)
    if drawn is None:
        return None

    endings: list[_Ending] = []
    forks: dict[object, _Ending] = {}
    for number in range(replays):
        repetition = Repetition(
            number=number,
            draws=None if problem.fixed and not problem.settled else _BELIEF_DRAWS,
            video_variances=drawn.video_variances,
        )
        followed = _follow(
            strategy,
            replace(problem, repetition=repetition),
            lambda round_, number=number: (  # type: ignore[misc]
                _as_measured(round_, measured)
                if round_.kind in AS_MEASURED
                else drawn.outcomes(round_, number)
            ),
        )
        endings.append(_ending(problem, followed, forks))
    return _counted(problem, _ending(problem, search, {}), endings)


def _counted(problem: Problem, own: _Ending, endings: Sequence[_Ending]) -> Stability:
    """Count how often each sequence and each network comes out."""
    sequences = Counter({own.sequence: 0})
    sequences.update(ending.sequence for ending in endings)
    grew = any(sequence.axes or sequence.end != "whole" for sequence in sequences)
    networks = {}
    for at, target in enumerate(sorted(set(problem.targets))):
        counts = Counter[object]()
        candidates: dict[object, Candidate | None] = {}
        mine = _identity(problem.space, own.networks[at])
        for ending, once in ((own, 0), *((ending, 1) for ending in endings)):
            candidate = ending.networks[at]
            identity = _identity(problem.space, candidate)
            candidates.setdefault(identity, candidate)
            if once or candidate is not None:
                counts[identity] += once
        networks[problem.target_name(target)] = tuple(
            NetworkShare(
                candidate=candidates[one],
                share=count / len(endings),
                own=one is not None and one == mine,
            )
            for one, count in counts.most_common()
        )
    return Stability(
        replays=len(endings),
        sequences=tuple(
            SequenceShare(sequence=one, share=count / len(endings), own=one == own.sequence)
            for one, count in sequences.most_common()
            if grew
        ),
        networks=networks,
    )


def _identity(space: Space, candidate: Candidate | None) -> object:
    """What makes two candidates the same network; None: unknown."""
    return None if candidate is None else network_key(space, candidate.point)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ending:
    """What came out of a search: its sequence, and for each target its network; None: unknown."""

    sequence: AxisSequence
    networks: tuple[Candidate | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Followed:
    """A search, followed as far as its rounds could be answered.

    Attributes:
        search: the strategy's generator.
        answered: the rounds, with an outcome for each training.
        waiting: the round that could not be answered; None: the search is over.
        trajectory: its result; None: it is not over, or it failed.
    """

    search: Generator[Round, Sequence[Outcome], Trajectory]
    answered: tuple[tuple[Round, Sequence[Outcome]], ...]
    waiting: Round | None
    trajectory: Trajectory | None

    @property
    def decided(self) -> list[tuple[Round, Sequence[Outcome]]]:
        """The answered rounds, without the stages of one that is not decided yet."""
        open_ = None if self.waiting is None else self.waiting.number
        return [(round_, outcomes) for round_, outcomes in self.answered if round_.number != open_]


def _follow(
    strategy: Strategy, problem: Problem, answer: Callable[[Round], Sequence[Outcome] | None]
) -> _Followed:
    """Follow a search until a round has no answer."""
    search = strategy.search(problem)
    answered: list[tuple[Round, Sequence[Outcome]]] = []
    waiting, trajectory = None, None
    try:
        round_ = next(search)
        while (outcomes := answer(round_)) is not None:
            answered.append((round_, outcomes))
            round_ = search.send(outcomes)
        waiting = round_
    except StopIteration as end:
        trajectory = end.value
    except RunFailed:
        pass
    return _Followed(search=search, answered=tuple(answered), waiting=waiting, trajectory=trajectory)


def _as_measured(round_: Round, measured: Mapping[Training, Outcome]) -> list[Outcome] | None:
    """The outcomes of a round as they were measured; None: some were not."""
    outcomes = [measured.get(training) for training in round_.trainings]
    known = [outcome for outcome in outcomes if outcome is not None]
    return known if len(known) == len(outcomes) else None


def _ending(problem: Problem, followed: _Followed, forks: dict[object, _Ending]) -> _Ending:
    """What came out of a search.

    Args:
        problem: of the search.
        followed: how far it could be followed.
        forks: what came out of those that could be followed as far, by the networks accepted until then.
    """
    unknown = (None,) * len(set(problem.targets))
    if followed.trajectory is not None:
        end: End = "whole" if followed.trajectory.stopped is None else "stopped"
        return _Ending(
            sequence=_sequence(followed.trajectory.states, end),
            networks=tuple(target.candidate for target in followed.trajectory.targets),
        )
    if (waiting := followed.waiting) is None:
        states = followed.answered[-1][0].states if followed.answered else ()
        return _Ending(sequence=_sequence(states, "failed"), networks=unknown)
    key = (waiting.number, waiting.kind, tuple(state.candidate for state in waiting.states))
    if key not in forks:
        forks[key] = _beyond(waiting, followed.search) or _Ending(
            sequence=_sequence(waiting.states, "unknown"), networks=unknown
        )
    return forks[key]


def _beyond(waiting: Round, search: Generator[Round, Sequence[Outcome], Trajectory]) -> _Ending | None:
    """What can be said of a search from the networks that it has accepted before a round.

    To learn it from the strategy, the search is followed to its end with outcomes that are made up. What is
    found for a target counts as known if it comes from a network that was accepted before.

    Returns:
        None if the search cannot be followed to its end.
    """
    try:
        round_ = waiting
        while True:
            round_ = search.send(_first_wins(round_))
    except StopIteration as end:
        trajectory: Trajectory = end.value
    except RunFailed:
        return None
    accepted = [state.candidate for state in waiting.states]
    after: End = "unknown"
    if accepted and accepted == [state.candidate for state in trajectory.states]:
        after = "whole" if trajectory.stopped is None else "stopped"  # nothing more was grown
    return _Ending(
        sequence=_sequence(waiting.states, after),
        networks=tuple(
            target.candidate if target.state is not None and target.state.candidate in accepted else None
            for target in trajectory.targets
        ),
    )


def _first_wins(round_: Round) -> list[Outcome]:
    """Outcomes by which the first candidate of a round is clearly the best, and better than the control."""
    first = round_.contenders[0]
    return [Scored(score=1.0 if training.candidate == first else 0.0) for training in round_.trainings]


def _sequence(states: Sequence[State], end: End) -> AxisSequence:
    """The sequence of axes that leads from the first state to the last."""
    return AxisSequence(axes=_axes_to(states[-1].candidate) if states else (), end=end)


def _axes_to(candidate: Candidate) -> tuple[str, ...]:
    """The axes along which a network was grown from the start; a contraction is none of them."""
    axes = list[str]()
    while candidate.parent is not None:
        if candidate.axis is not None and candidate.cost > candidate.parent.cost:
            axes.append(candidate.axis)
        candidate = candidate.parent
    return tuple(reversed(axes))
