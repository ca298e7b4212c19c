"""Replays a search: sends a strategy the results of jobs, round by round, up to the first job without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from expand.jobs.job import Failure, Job, Measurement, Result
from expand.search.base import (
    Candidate,
    Failed,
    Outcome,
    Round,
    Scored,
    State,
    Training,
    Trajectory,
    mean_over_seeds,
)
from expand.search.decision import Decision
from expand.search.setup import Setup


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundJobs:
    """A round with a job for each of its trainings, in their order."""

    round: Round
    jobs: tuple[Job, ...]

    @property
    def by_candidate(self) -> dict[Candidate, tuple[Job, ...]]:
        """The jobs of each candidate, one for each seed."""
        jobs: dict[Candidate, tuple[Job, ...]] = {}
        for training, job in zip(self.round.trainings, self.jobs, strict=True):
            jobs[training.candidate] = (*jobs.get(training.candidate, ()), job)
        return jobs

    def missing(self, results: Mapping[str, Result]) -> tuple[tuple[Candidate, Job], ...]:
        """The jobs whose keys have no result, each once, in the order of the candidates."""
        missing: dict[str, tuple[Candidate, Job]] = {}
        for training, job in zip(self.round.trainings, self.jobs, strict=True):
            if job.key not in results:
                missing.setdefault(job.key, (training.candidate, job))
        return tuple(missing.values())

    def outcomes(self, results: Mapping[str, Result]) -> tuple[Outcome, ...]:
        """The outcome of each training, in order, from the results by the jobs' keys."""
        return tuple(_outcome(results[job.key]) for job in self.jobs)


def merged(rounds: Sequence[RoundJobs]) -> list[RoundJobs]:
    """The rounds, with those of the same number joined to one that has the trainings of all."""
    by_number: dict[int, RoundJobs] = {}
    for one in rounds:
        before = by_number.get(one.round.number)
        if before is not None:
            trainings = (*before.round.trainings, *one.round.trainings)
            one = RoundJobs(round=replace(one.round, trainings=trainings), jobs=(*before.jobs, *one.jobs))
        by_number[one.round.number] = one
    return list(by_number.values())


def outcome(results: Sequence[Result]) -> Outcome:
    """A candidate's outcome over its seeds: the mean score, or the first failure if any seed failed."""
    return mean_over_seeds([_outcome(result) for result in results])


def _outcome(result: Result) -> Outcome:
    """A training's outcome."""
    if isinstance(result, Failure):
        return Failed(reason=result.reason)
    return Scored(score=result.score, learned=result.learned, video_scores=result.video_scores)


def worth_keeping(jobs: Sequence[Job], results: Mapping[str, Result]) -> tuple[Job, ...]:
    """The trainings of a candidate whose weights are worth having, in order.

    They are those that have learned something; where none has, all that did not fail.
    """
    measured = [(job, results[job.key]) for job in jobs if job.key in results]
    ended = [(job, result) for job, result in measured if isinstance(result, Measurement)]
    learned = [job for job, result in ended if result.learned]
    return tuple(learned or [job for job, _ in ended])


def scored(results: Sequence[Result]) -> tuple[Measurement, ...]:
    """The results that have a score, without the failures."""
    return tuple(result for result in results if isinstance(result, Measurement))


class Replay:
    """A search under way: sends results to its strategy, and remembers the jobs of every candidate.

    replay = Replay(setup)
    while replay.current is not None:
        ...                               # train replay.current.missing(results)
        replay.send(results)
    replay.trajectory
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._problem = setup.problem
        self._given = setup.given
        self._search = setup.search()
        self.jobs: dict[Candidate, tuple[Job, ...]] = {}
        self._settling = set[str]()  # the keys of jobs that settle a decision
        self.rounds: list[RoundJobs] = []
        self.current: RoundJobs | None = None
        self.trajectory: Trajectory | None = None
        self._enter(next(self._search), {})

    @property
    def states(self) -> tuple[State, ...]:
        """The states that were accepted so far."""
        return self.trajectory.states if self.trajectory is not None else self.rounds[-1].round.states

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """How the rounds so far were decided."""
        ended = self.trajectory
        return ended.decisions if ended is not None else self.rounds[-1].round.decisions

    def send(self, results: Mapping[str, Result]) -> None:
        """Send the current round's results, by the jobs' keys, to the strategy, and enter the next round.

        Raises:
            RunFailed: the strategy cannot continue: every candidate failed, or no axis can grow.
        """
        assert self.current is not None, "the search is over"
        outcomes = self.current.outcomes(results)
        self.current = None
        try:
            self._enter(self._search.send(outcomes), results)
        except StopIteration as end:
            self.trajectory = end.value

    def grown_from(self, candidate: Candidate, results: Mapping[str, Result]) -> tuple[Job, ...]:
        """The trainings from whose weights networks grow that are grown from a candidate, in order."""
        return worth_keeping([job for job in self.jobs[candidate] if job.key not in self._settling], results)

    def _enter(self, round_: Round, results: Mapping[str, Result]) -> None:
        """Make a round the current one, with a job for each of its trainings; `results` are those so far."""
        jobs = []
        for training in round_.trainings:
            job = self._setup.job(training, self._parent(training, results))
            self.jobs[training.candidate] = (*self.jobs.get(training.candidate, ()), job)
            jobs.append(job)
            if training.settles:
                self._settling.add(job.key)
        self.current = RoundJobs(round=round_, jobs=tuple(jobs))
        self.rounds.append(self.current)

    def _parent(self, training: Training, results: Mapping[str, Result]) -> Job | None:
        """The training of the candidate's parent whose weights a training starts from.

        Where the candidate has no parent, they are the weights that the search starts from, if it has any.
        The n-th seed starts from the parent's n-th training that is worth keeping, and from the first again
        where the parent has fewer. None: the training starts from fresh weights.
        """
        parent = training.candidate.parent
        if not self._problem.grown:
            return None
        if parent is None:
            return self._given
        jobs = self.grown_from(parent, results)
        return jobs[(training.seed - self._problem.seed) % len(jobs)] if jobs else None
