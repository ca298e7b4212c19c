"""Reads a run, finished or not, as tables of rows, from its folder alone: its videos are not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from expand.config.search import Config
from expand.jobs.folder import read_attempts
from expand.jobs.job import Attempt, Failure, Job, Measurement, Result
from expand.run.rows import (
    AttemptRow,
    AttemptState,
    CandidateRow,
    Network,
    SeedScores,
    StateRow,
    TargetRow,
    TrialRow,
    UngrownRow,
)
from expand.run.study import Run
from expand.search.base import Candidate, Outcome, Scored, Training
from expand.search.confirmation import CONFIRMATION
from expand.search.decision import Decision
from expand.search.replay import Replay, RoundJobs, merged, outcome, scored
from expand.search.setup import DataCard, Setup
from expand.search.stability import Stability, stability
from expand.system.errors import RunFailed
from expand.system.escaping import visible_line
from expand.training.objectives import Chance, Objective, load_objective


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A run's tables, and the facts beside them.

    Attributes:
        folder: the run folder.
        setup: its configuration and data, with the space and its axes.
        trials: the trainings that have ended, in the order of the candidates.
        rounds: the candidates of all rounds so far.
        ungrown: the axes along which a round has no candidate.
        trajectory: the accepted states, then the targets.
        decisions: how the rounds so far were decided.
        attempts: the attempts of workers at trainings, running ones included, by the time of their start.
        starts: when a driver started or resumed the run, in seconds since 1970.
        models: the paths of the model files by name.
        ended: whether the search has ended.
        finished: whether it has, and every model is written, as the run was extended last.
        problem: why the search cannot go on; None where it can.
        stopped: why a finished search ended before it passed every target; None where it did not.
        outcomes: the trainings of the rounds that have all their results, with what the strategy was told of
            them.
    """

    folder: Path
    setup: Setup
    trials: tuple[TrialRow, ...]
    rounds: tuple[CandidateRow, ...]
    ungrown: tuple[UngrownRow, ...]
    trajectory: tuple[StateRow | TargetRow, ...]
    decisions: tuple[Decision, ...]
    attempts: tuple[AttemptRow, ...]
    starts: tuple[float, ...]
    models: dict[str, Path]
    ended: bool
    finished: bool
    problem: str | None
    stopped: str | None = None
    outcomes: tuple[tuple[Training, Outcome], ...] = field(default=(), repr=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the rounds, in order."""
        return tuple(dict.fromkeys(row.round for row in self.rounds))

    @property
    def measured(self) -> list[CandidateRow]:
        """The candidates that have a score over all their seeds, without those of a confirmation."""
        return [row for row in self.rounds if row.seeds.mean is not None and row.kind != CONFIRMATION]

    @property
    def path(self) -> list[StateRow]:
        """The accepted states."""
        return [row for row in self.trajectory if isinstance(row, StateRow)]

    @property
    def targets(self) -> list[TargetRow]:
        """The targets whose network has a score."""
        return [row for row in self.trajectory if isinstance(row, TargetRow) and row.seeds.mean is not None]

    def became(self, network: Network) -> dict[str, str]:
        """The whole numbers that a network's factors come to, as texts by the factors' names."""
        return dict(self.setup.space.describe(network.point))

    @property
    def compared(self) -> bool:
        """Whether any candidate is compared with a control."""
        return any(row.gain is not None for row in self.rounds)

    @property
    def learned(self) -> bool:
        """Whether any accepted network or target's has learned something, as far as measurements tell."""
        return not self.trajectory or any(row.seeds.learned is not False for row in self.trajectory)

    @property
    def stability(self) -> Stability | None:
        """How often the search, done again, would find the same; None: it cannot be said.

        It takes up to some seconds the first time that this process asks for it.
        """
        return _stability(self.config.model_dump_json(), self.data, self.outcomes)

    @property
    def state(self) -> str:
        """The state of the run in words, such as `in round 3, 2 candidates to come`."""
        if self.finished or self.problem is not None:
            return self.problem or "finished"
        if self.ended:
            return "all trained, with models to write"
        waiting = sum(row.state == "waiting" for row in self.rounds)
        return f"in round {max(self.numbers)}, {waiting} candidate{'s' * (waiting != 1)} to come"

    @property
    def config(self) -> Config:
        return self.setup.config

    @property
    def objective(self) -> Objective:
        """The objective that candidates are scored by."""
        return load_objective(self.config.search.objective)

    @property
    def chance(self) -> Chance | None:
        """The score of guessing, without a look at the videos; None where the objective has none."""
        counts, videos = np.array(self.data.val_counts), self.data.val - self.data.unlabelled
        return self.objective.chance(counts, videos)

    @property
    def data(self) -> DataCard:
        return self.setup.data


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """A run's search, replayed up to its first round without all results.

    Attributes:
        setup: its configuration and data.
        results: the results of the trainings, by the jobs' keys.
        replay: the replayed search; its `current` is the unfinished round, or None after the last round.
        problem: why the search cannot go on; None where it can.
    """

    setup: Setup
    results: dict[str, Result]
    replay: Replay
    problem: str | None


def replayed(run: Run) -> Replayed:
    """Repeat a search's decisions from the results in a run folder.

    Raises:
        UserError: the configuration differs from that at the start of the run, or a file cannot be read.
    """
    run.check_config()
    setup, results = Setup.of(run.config, run.data), run.results()
    replay, problem = Replay(setup), None
    try:
        while replay.current is not None and not replay.current.missing(results):
            replay.send(results)
    except RunFailed as error:
        problem = str(error)
    return Replayed(setup=setup, results=results, replay=replay, problem=problem)


def read_run(folder: Path) -> RunRecord:
    """Read a run's tables.

    Raises:
        UserError: the folder is no run, or it cannot be read.
    """
    run = Run.open(folder)
    return record_of(run, replayed(run))


def record_of(run: Run, so_far: Replayed) -> RunRecord:
    """Return the tables of a run whose decisions were repeated."""
    setup, results, replay = so_far.setup, so_far.results, so_far.replay
    rounds = merged(replay.rounds)
    trajectory = tuple(_trajectory_rows(setup, replay, results, run.timed))
    chosen = _chosen(replay)
    models = run.models()
    return RunRecord(
        folder=run.folder,
        setup=setup,
        trials=tuple(_trial_rows(setup, rounds, results)),
        rounds=tuple(row for jobs in rounds for row in _candidate_rows(setup, jobs, results, chosen)),
        ungrown=tuple(row for jobs in rounds for row in _ungrown_rows(jobs)),
        trajectory=trajectory,
        decisions=replay.decisions,
        attempts=tuple(sorted(_attempt_rows(run, rounds, results), key=lambda row: row.attempt.started)),
        starts=run.starts,
        models=models,
        ended=replay.trajectory is not None,
        finished=replay.trajectory is not None
        and not run.behind
        and all(row.name in models for row in trajectory if row.state == "done"),
        problem=so_far.problem,
        stopped=None if replay.trajectory is None else replay.trajectory.stopped,
        outcomes=tuple(
            pair
            for jobs in replay.rounds
            if jobs is not replay.current
            for pair in zip(jobs.round.trainings, jobs.outcomes(results), strict=True)
        ),
    )


@lru_cache(maxsize=4)
def _stability(
    config: str, data: DataCard, outcomes: tuple[tuple[Training, Outcome], ...]
) -> Stability | None:
    """Return the stability of a search, by what determines it, as the page and the terminal both show it."""
    setup = Setup.of(Config.model_validate_json(config), data)
    return stability(setup.strategy, setup.problem, dict(outcomes))


def search_words(setup: Setup) -> str:
    """Return the kind of a search in words, such as `expansion, targets in MACs, scored by top-1`."""
    search = setup.config.search
    words = load_objective(search.objective).words
    return visible_line(f"{search.strategy}, targets in {setup.cost.unit}, scored by {words}")


def start_words(setup: Setup) -> str:
    """Return what a search starts from in words, such as `x3d-xs`; empty for the space's own start."""
    start = setup.config.search.start
    return "" if start is None else visible_line(start.words)


def _chosen(replay: Replay) -> set[Candidate]:
    """Return the candidates that were accepted, or are the network of a target."""
    targets = replay.trajectory.targets if replay.trajectory is not None else ()
    return {state.candidate for state in replay.states} | {model.candidate for model in targets}


def _trajectory_rows(
    setup: Setup, replay: Replay, results: Mapping[str, Result], timed: Mapping[str, int]
) -> Iterator[StateRow | TargetRow]:
    """Yield a row for each accepted state, then a row for each target."""
    rounds = {candidate: jobs.round.number for jobs in replay.rounds for candidate in jobs.round.candidates}

    again = {} if replay.trajectory is None else replay.trajectory.confirmed

    def measured(candidate: Candidate) -> dict[str, Any]:
        own = [results[job.key] for job in replay.jobs[candidate]]
        fresh = None
        if candidate in again:
            jobs = replay.jobs[again[candidate]]
            fresh = _seed_scores([results[job.key] for job in jobs], len(jobs))
        return {"round": rounds[candidate], "fresh": fresh, **_measured(setup, candidate, own, len(own))}

    for state in replay.states:
        yield StateRow(
            name=state.name, step=state.step, timed=timed.get(state.name), **measured(state.candidate)
        )
    for model in replay.trajectory.targets if replay.trajectory is not None else ():
        step = None if model.state is None else model.state.step
        yield TargetRow(
            name=model.name,
            step=step,
            target=model.target,
            timed=timed.get(model.name),
            **measured(model.candidate),
        )


def _trial_rows(setup: Setup, rounds: Sequence[RoundJobs], results: Mapping[str, Result]) -> list[TrialRow]:
    """Return a row for each training; one that several candidates share is listed at the first of them."""
    rows: dict[str, TrialRow] = {}
    for number, candidate, job in _jobs(rounds):
        if job.key in results and job.key not in rows:
            rows[job.key] = TrialRow(
                round=number,
                network=network_of(setup, candidate),
                seed=job.seed,
                job=job.key,
                result=results[job.key],
            )
    return list(rows.values())


def _attempt_rows(
    run: Run, rounds: Sequence[RoundJobs], results: Mapping[str, Result]
) -> Iterator[AttemptRow]:
    """Yield a row for each attempt of a worker at a training."""
    recorded = run.attempts()
    last_asked = {job.key: (number, candidate, job) for number, candidate, job in _jobs(rounds)}
    for key, (number, candidate, job) in last_asked.items():
        attempts = recorded.get(key) or read_attempts(run.job_folder(job))
        for attempt in attempts:
            yield AttemptRow(
                round=number,
                candidate=candidate.name,
                axis=candidate.axis,
                seed=job.seed,
                job=key,
                state=_end_of(attempt, attempt is attempts[-1], results.get(key)),
                attempt=attempt,
            )


def _jobs(rounds: Sequence[RoundJobs]) -> Iterator[tuple[int, Candidate, Job]]:
    """Yield (round's number, candidate, job) for the jobs of all rounds."""
    for jobs in rounds:
        for candidate, ones in jobs.by_candidate.items():
            for job in ones:
                yield jobs.round.number, candidate, job


def _end_of(attempt: Attempt, last: bool, result: Result | None) -> AttemptState:
    """Return an attempt's state; without a result, the last attempt is running unless its end was recorded.

    Args:
        attempt: the attempt.
        last: whether it is the last attempt at its training.
        result: the result of its training, if there is one.
    """
    if last and result is not None:
        return "done" if isinstance(result, Measurement) else "failed"
    return "running" if last and attempt.seconds is None else "cut off"


def _candidate_rows(
    setup: Setup, jobs: RoundJobs, results: Mapping[str, Result], chosen: Set[Candidate]
) -> Iterator[CandidateRow]:
    measured = {
        candidate: _measured(
            setup, candidate, [results[job.key] for job in ones if job.key in results], len(ones)
        )
        for candidate, ones in jobs.by_candidate.items()
    }
    control = jobs.round.control
    reached = None if control is None else measured[control]["seeds"].mean
    for candidate, fields in measured.items():
        mean = fields["seeds"].mean
        compared = reached is not None and mean is not None and candidate != control
        yield CandidateRow(
            round=jobs.round.number,
            kind=jobs.round.kind,
            accepted=candidate in chosen or jobs.round.kind == "contraction",
            gain=mean - reached if compared else None,
            **fields,
        )


def _ungrown_rows(jobs: RoundJobs) -> Iterator[UngrownRow]:
    whys: tuple[tuple[Literal["saturated", "free"], tuple[str, ...]], ...] = (
        ("saturated", jobs.round.saturated),
        ("free", jobs.round.free),
    )
    for why, axes in whys:
        for axis in axes:
            yield UngrownRow(round=jobs.round.number, kind=jobs.round.kind, axis=axis, why=why)


def _measured(setup: Setup, candidate: Candidate, results: Sequence[Result], wanted: int) -> dict[str, Any]:
    """Return the fields of a `Measured` except its round.

    Args:
        setup: the search.
        candidate: the candidate.
        results: the results so far of its trainings.
        wanted: number of its trainings, one for each seed.
    """
    reason = next((one.reason for one in results if isinstance(one, Failure)), None)
    waiting = not results or len(results) < wanted
    return {
        "network": network_of(setup, candidate),
        "state": "failed" if reason is not None else "waiting" if waiting else "done",
        "reason": reason,
        "seeds": _seed_scores(results, wanted),
    }


def _seed_scores(results: Sequence[Result], wanted: int) -> SeedScores:
    """Return the scores of a candidate's trainings, of which `wanted` were asked for."""
    whole = outcome(results) if results and len(results) == wanted else None
    return SeedScores(measurements=scored(results), mean=whole.score if isinstance(whole, Scored) else None)


def network_of(setup: Setup, candidate: Candidate) -> Network:
    """Return the network of a candidate, with its complexity."""
    space = setup.space
    complexity = space.complexity(space.architecture(candidate.point), len(setup.data.classes))
    return Network(
        candidate=candidate.name,
        axis=candidate.axis,
        point=candidate.point,
        factors=space.point_to_json(candidate.point),
        clips=space.sampling(candidate.point),
        macs=complexity.macs,
        params=complexity.params,
        activations=complexity.activations,
        cost=candidate.cost,
    )
