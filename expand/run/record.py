"""A run, finished or not, as tables: read from its study and the replayed search, without its videos."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expand.config.search import Config
from expand.jobs.folder import read_attempts
from expand.jobs.job import Attempt, Measurement, Result
from expand.run.study import Run
from expand.search.base import Candidate, Outcome, Scored, State, Trajectory
from expand.search.problem import DataCard, Setup
from expand.search.replay import Replay, RoundJobs, merged, outcome, scored
from expand.system.errors import RunFailed
from expand.training.objectives import Chance, Objective, load_objective

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]

UNGROWN = ("saturated", "free")  # states of axes along which a round has no candidate
_FACTOR = "factor_"  # before a factor's name, where it is a column


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        setup: its configuration and data, with the space and its axes.
        trials: a row a training: candidate, seed, cost, scores.
        rounds: a row a candidate of each round: cost, mean score over the seeds and its spread, state.
        trajectory: a row an accepted state and a target: the axis, the network, its cost and scores.
        attempts: a row a worker's try at a training: who, when, how it ended; those that go on, too.
        starts: when a driver started or went on, in seconds since 1970.
        models: the model files by name.
        finished: whether every target has been dealt with, and every model is written.
        problem: why the search cannot go on, if it cannot.
    """

    folder: Path
    setup: Setup
    trials: tuple[Row, ...]
    rounds: tuple[Row, ...]
    trajectory: tuple[Row, ...]
    attempts: tuple[Row, ...]
    starts: tuple[float, ...]
    models: dict[str, Path]
    finished: bool
    problem: str | None

    @property
    def measured(self) -> list[Row]:
        """The rows of `rounds` that have a score."""
        return [row for row in self.rounds if score_of(row) is not None]

    @property
    def path(self) -> list[Row]:
        """The rows of `trajectory` that are accepted states."""
        return [row for row in self.trajectory if row["target"] is None]

    @property
    def targets(self) -> list[Row]:
        """The rows of `trajectory` that are targets with a score."""
        return [row for row in self.trajectory if row["target"] is not None and score_of(row) is not None]

    def seeds_of(self, row: Row) -> list[float]:
        """The score of each seed of a candidate."""
        own = (trial for trial in self.trials if key_of(trial) == key_of(row))
        return [score for trial in own if (score := score_of(trial)) is not None]

    def became(self, row: Row) -> dict[str, str]:
        """What each factor of a candidate became, in words."""
        return dict(self.setup.space.describe(self.point_of(row)))

    def point_of(self, row: Row) -> Any:
        """The candidate of a row as a point of the space."""
        return self.setup.space.point_from_json(factors_of(row))

    @property
    def state(self) -> str:
        """How far the run is, in words."""
        if self.finished or self.problem is not None:
            return self.problem or "finished"
        waiting = sum(row["state"] == "waiting" for row in self.rounds)
        last = max(row["round"] for row in self.rounds)
        return f"in round {last}, {waiting} candidate{'s' * (waiting != 1)} to come"

    @property
    def config(self) -> Config:
        return self.setup.config

    @property
    def objective(self) -> Objective:
        """What candidates are scored by."""
        return load_objective(self.config.search.objective)

    @property
    def chance(self) -> Chance | None:
        """What one scores without looking at the validation videos."""
        counts, videos = np.array(self.data.val_counts), self.data.val - self.data.unlabelled
        return self.objective.chance(counts, videos)

    @property
    def data(self) -> DataCard:
        return self.setup.data


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFrames:
    """A RunRecord with its tables as pandas frames."""

    config: Config
    data: DataCard
    trials: DataFrame
    rounds: DataFrame
    trajectory: DataFrame
    attempts: DataFrame
    models: dict[str, Path]
    finished: bool


def load_run(path: str | Path) -> RunFrames:
    """A run as pandas frames: trials, rounds, trajectory, attempts; also while it runs.

    Raises:
        UserError: the folder is no run.
    """
    from pandas import DataFrame

    record = read_run(Path(path))
    return RunFrames(
        config=record.config,
        data=record.data,
        trials=DataFrame(list(record.trials)),
        rounds=DataFrame(list(record.rounds)),
        trajectory=DataFrame(list(record.trajectory)),
        attempts=DataFrame(list(record.attempts)),
        models=record.models,
        finished=record.finished,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """A run with its search, as far as it has come.

    Attributes:
        replay: whose `current` is the round that is not over.
        problem: why the search cannot go on, if it cannot.
    """

    setup: Setup
    results: dict[str, Result]
    replay: Replay
    problem: str | None


def replayed(run: Run) -> Replayed:
    """Decide again what the measurements of a run have decided.

    Raises:
        UserError: its configuration is not what it was started with, or cannot be read.
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
    """A run's tables as plain rows.

    Raises:
        UserError: the folder is no run.
    """
    run = Run.open(folder)
    found = replayed(run)
    setup, results, replay = found.setup, found.results, found.replay
    rounds = merged(replay.rounds)
    states = accepted(rounds, replay.trajectory)
    chosen = {state.candidate for state in states}
    if replay.trajectory is not None:
        chosen |= {target.candidate for target in replay.trajectory.targets}
    trajectory = tuple(trajectory_rows(setup, states, replay, results))
    models = run.models()
    return RunRecord(
        folder=folder,
        setup=setup,
        trials=tuple(_trial_rows(setup, rounds, results)),
        rounds=tuple(row for jobs in rounds for row in _round_rows(setup, jobs, results, chosen)),
        trajectory=trajectory,
        attempts=tuple(_attempt_rows(run, rounds, results)),
        starts=run.starts,
        models=models,
        finished=replay.trajectory is not None
        and all(row["name"] in models for row in trajectory if row["state"] == "done"),
        problem=found.problem,
    )


def factors_of(row: Row) -> Row:
    """A candidate's factors by their names."""
    return {key.removeprefix(_FACTOR): value for key, value in row.items() if key.startswith(_FACTOR)}


def score_of(row: Row, part: str = "") -> float | None:
    """What the objective gives a row of any table, which is its `score`, or its `top1` where that decides.

    Args:
        row: of a run.
        part: of what the seeds of a candidate gave: `_min`, `_max` or `_std`; nothing: the mean.
    """
    value: float | None = row.get(("score" if "score" in row else "top1") + part)
    return value


def key_of(row: Row) -> str:
    """A candidate's name within its run, whichever table the row is from."""
    return f"{row['round']}-{row['candidate']}"


def accepted(rounds: Sequence[RoundJobs], trajectory: Trajectory | None) -> tuple[State, ...]:
    """The accepted states so far."""
    return trajectory.states if trajectory is not None else rounds[-1].round.states


def trajectory_rows(
    setup: Setup, states: Sequence[State], replay: Replay, results: dict[str, Result]
) -> list[Row]:
    """A row a state, then a row a target."""
    rounds = {candidate: jobs.round.number for jobs in replay.rounds for candidate in jobs.round.candidates}
    rows = [
        {"name": state.name, "step": state.step, "target": None, "round": rounds[state.candidate]}
        | _candidate_row(setup, state.candidate, [results[job.key] for job in replay.jobs[state.candidate]])
        for state in states
    ]
    for found in replay.trajectory.targets if replay.trajectory is not None else ():
        got = [results[job.key] for job in replay.jobs[found.candidate]]
        row: Row = {}
        rows.append(
            row
            | {
                "name": found.name,
                "step": None if found.state is None else found.state.step,
                "target": found.target,
                "round": rounds[found.candidate],
            }
            | _candidate_row(setup, found.candidate, got)
        )
    return rows


def _trial_rows(setup: Setup, rounds: Sequence[RoundJobs], results: dict[str, Result]) -> list[Row]:
    """A row a training, at the first candidate that asked for it."""
    rows: dict[str, Row] = {}
    for jobs in rounds:
        for candidate, ones in jobs.by_candidate.items():
            for job in ones:
                result = results.get(job.key)
                if result is None or job.key in rows:
                    continue
                scores = _result_columns(setup, result)
                failed = not isinstance(result, Measurement)
                rows[job.key] = {
                    "round": jobs.round.number,
                    "candidate": candidate.name,
                    "axis": candidate.axis,
                    "seed": job.seed,
                    "job": job.key,
                    "state": "failed" if failed else "done",
                    "reason": scores.pop("reason", None),
                    **_network_columns(setup, candidate),
                    **{key: value for key, value in scores.items() if key != "traceback"},
                }
    return list(rows.values())


def _result_columns(setup: Setup, result: Result) -> Row:
    """A result's numbers by their names; the score where it is not the top-1, which is there anyway."""
    values = asdict(result)
    if setup.config.search.objective == "top1":
        values.pop("score", None)
    if setup.data.labels == "several":
        values = {name: value for name, value in values.items() if value is not None}
    return values


def _attempt_rows(run: Run, rounds: Sequence[RoundJobs], results: Mapping[str, Result]) -> Iterator[Row]:
    """A row an attempt, in the order of their starts."""
    recorded, rows = run.attempts(), dict[str, list[Row]]()
    for jobs in rounds:
        for candidate, ones in jobs.by_candidate.items():
            for job in ones:
                attempts = recorded.get(job.key) or read_attempts(run.job_folder(job))
                rows[job.key] = [
                    {
                        "round": jobs.round.number,
                        "candidate": candidate.name,
                        "axis": candidate.axis,
                        "seed": job.seed,
                        "job": job.key,
                        "state": _end_of(attempt, attempt is attempts[-1], results.get(job.key)),
                        **asdict(attempt),
                    }
                    for attempt in attempts
                ]
    return iter(sorted(chain.from_iterable(rows.values()), key=lambda row: row["started"]))


def _end_of(attempt: Attempt, last: bool, result: Result | None) -> str:
    """How an attempt ended: done or failed; cut off; or running, as far as is known."""
    if last and result is not None:
        return "done" if isinstance(result, Measurement) else "failed"
    return "running" if last and attempt.seconds is None else "cut off"


def _round_rows(
    setup: Setup, jobs: RoundJobs, results: dict[str, Result], chosen: Set[Candidate]
) -> list[Row]:
    rows = []
    for candidate, ones in jobs.by_candidate.items():
        got = [results[job.key] for job in ones if job.key in results]
        rows.append(
            {
                "round": jobs.round.number,
                "kind": jobs.round.kind,
                "accepted": candidate in chosen or jobs.round.kind == "contraction",
                **_candidate_row(setup, candidate, got, seeds=len(ones)),
            }
        )
    for state, names in (("saturated", jobs.round.saturated), ("free", jobs.round.free)):
        rows.extend(
            {
                "round": jobs.round.number,
                "candidate": name,
                "axis": name,
                "kind": jobs.round.kind,
                "accepted": False,
                "state": state,
            }
            for name in names
        )
    return rows


def _candidate_row(
    setup: Setup, candidate: Candidate, results: Sequence[Result], seeds: int | None = None
) -> Row:
    measured = scored(results)
    whole = len(results) == (seeds or len(results)) and bool(results)
    failed = [result for result in results if not isinstance(result, Measurement)]
    return {
        "candidate": candidate.name,
        "axis": candidate.axis,
        "state": "failed" if failed else "done" if whole else "waiting",
        "reason": failed[0].reason if failed else None,
        **_network_columns(setup, candidate),
        "seeds": len(measured),
        **_score_columns(setup, measured, outcome(results) if whole else None),
        "loss": _mean([m.loss for m in measured]),
        "seconds": sum(m.seconds for m in measured) if measured else None,
        "latency": min((m.latency for m in measured), default=None),
    }


def _score_columns(setup: Setup, measured: Sequence[Measurement], whole: Outcome | None) -> Row:
    """The score over the seeds, and what else says how good a candidate is; `top1` is its name by default."""
    scores, column = [m.score for m in measured], "score"
    beside: Row = {
        "top1": _mean([m.top1 for m in measured if m.top1 is not None]),
        "mean_class_accuracy": _mean(
            [m.mean_class_accuracy for m in measured if m.mean_class_accuracy is not None]
        ),
    }
    if setup.config.search.objective == "top1":
        column = "top1"
        del beside["top1"]
    if setup.data.labels == "several":
        beside = {}
    return {
        column: whole.score if isinstance(whole, Scored) else None,
        f"{column}_min": min(scores, default=None),
        f"{column}_max": max(scores, default=None),
        f"{column}_std": statistics.stdev(scores) if len(scores) > 1 else None,
        **beside,
    }


def _network_columns(setup: Setup, candidate: Candidate) -> Row:
    """The network as numbers: factors, what they became, and its cost."""
    sampling = setup.space.sampling(candidate.point)
    complexity = setup.space.complexity(setup.space.architecture(candidate.point), len(setup.data.classes))
    return {
        **{f"{_FACTOR}{name}": value for name, value in setup.space.point_to_json(candidate.point).items()},
        "frames": sampling.frames,
        "stride": sampling.stride,
        "size": sampling.size,
        "macs": complexity.macs,
        "params": complexity.params,
        "activations": complexity.activations,
        setup.cost.name: candidate.cost,
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
