"""A search under way, as its rounds and the jobs of their candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expand.jobs.job import Failure, Job, Measurement, Result
from expand.search.expansion import Candidate, Failed, Outcome, Round, Scored, Trajectory
from expand.search.problem import Setup


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundJobs:
    """A round of the search with the jobs of each of its candidates."""

    round: Round
    jobs: tuple[tuple[Job, ...], ...]

    def missing(self, results: Mapping[str, Result]) -> tuple[tuple[Candidate, Job], ...]:
        """What is still to be trained, each network once, in the order of the candidates."""
        found: dict[str, tuple[Candidate, Job]] = {}
        for candidate, jobs in zip(self.round.candidates, self.jobs, strict=True):
            for job in jobs:
                if job.key not in results:
                    found.setdefault(job.key, (candidate, job))
        return tuple(found.values())

    def outcomes(self, results: Mapping[str, Result]) -> tuple[Outcome, ...]:
        return tuple(outcome([results[job.key] for job in jobs]) for jobs in self.jobs)


def outcome(results: Sequence[Result]) -> Outcome:
    """A candidate's outcome over its seeds: the mean top-1, or the first failure if any seed failed."""
    scores = []
    for result in results:
        if isinstance(result, Failure):
            return Failed(reason=result.reason)
        scores.append(result.top1)
    return Scored(top1=sum(scores) / len(scores))


def scored(results: Sequence[Result]) -> tuple[Measurement, ...]:
    return tuple(result for result in results if isinstance(result, Measurement))


class Replay:
    """A search under way: feeds it outcomes, and remembers which jobs stood for which candidate.

    replay = Replay(setup)
    while replay.current is not None:
        ...                               # train replay.current.missing(results)
        replay.send(results)
    replay.trajectory
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._search = setup.search()
        self.jobs: dict[Candidate, tuple[Job, ...]] = {}
        self.rounds: list[RoundJobs] = []
        self.current: RoundJobs | None = None
        self.trajectory: Trajectory | None = None
        self._enter(next(self._search))

    def send(self, results: Mapping[str, Result]) -> None:
        """Tell the search what the current round gave, and go to the next.

        Raises:
            RunFailed: every candidate failed, or no axis can grow.
        """
        assert self.current is not None, "the search is over"
        outcomes = self.current.outcomes(results)
        self.current = None
        try:
            self._enter(self._search.send(outcomes))
        except StopIteration as end:
            self.trajectory = end.value

    def _enter(self, round_: Round) -> None:
        jobs = {
            candidate: self._setup.jobs(candidate, self._parents(candidate))
            for candidate in round_.candidates
        }
        self.jobs.update(jobs)
        self.current = RoundJobs(round=round_, jobs=tuple(jobs.values()))
        self.rounds.append(self.current)

    def _parents(self, candidate: Candidate) -> Sequence[Job | None]:
        """The jobs whose weights a candidate's start from, one a seed; None: from scratch."""
        if self._setup.config.training.init == "parent" and candidate.parent is not None:
            return self.jobs[candidate.parent]
        return (None,) * self._setup.config.search.seeds
