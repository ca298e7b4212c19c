"""The result of a job as a trial of an Optuna study, and back."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from expand.jobs.job import Attempt, Failure, Job, Measurement, Result
from expand.search.base import Candidate

_FACTORS = (2.0**-6, 2.0**10)  # the range of factors on the axes of Optuna's plots; nothing samples from it


def trial_of(
    job: Job,
    candidate: Candidate,
    round_number: int,
    params: Mapping[str, Any],
    result: Result,
    attempts: Sequence[Attempt],
) -> FrozenTrial:
    """Return a finished trial, which is not in a study yet.

    Args:
        job: the job.
        candidate: the candidate that it trains.
        round_number: the number of its round.
        params: the candidate's point as JSON; its positive numbers become the trial's parameters.
        result: the job's result.
        attempts: the attempts of workers at the job; the trial has the times of the last.
    """
    numbers = {
        name: float(value)
        for name, value in params.items()
        if isinstance(value, int | float) and value > 0  # Optuna shows factors on a logarithmic scale
    }
    low, high = _FACTORS
    distributions: dict[str, BaseDistribution] = {
        name: FloatDistribution(min(low, value), max(high, value), log=True)
        for name, value in numbers.items()
    }
    failed = isinstance(result, Failure)
    trial = optuna.trial.create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        value=None if isinstance(result, Failure) else result.score,
        params=numbers,
        distributions=distributions,
        user_attrs={
            "name": f"round {round_number}: {candidate.name}, seed {job.seed}",  # for dashboards
            "job": job.key,
            "candidate": candidate.name,
            "axis": candidate.axis,
            "round": round_number,
            "seed": job.seed,
            "planned_macs": candidate.macs,
            "architecture": job.architecture,
            "sampling": job.sampling,
            "attempts": [asdict(attempt) for attempt in attempts],
            **asdict(result),
        },
    )
    if attempts:
        last = attempts[-1]
        trial.datetime_start = datetime.datetime.fromtimestamp(last.started)
        trial.datetime_complete = trial.datetime_start + datetime.timedelta(seconds=last.seconds or 0.0)
    return trial


def key_of(trial: FrozenTrial) -> str:
    """The key of the job whose result a trial is."""
    key: str = trial.user_attrs["job"]
    return key


def attempts_of(trial: FrozenTrial) -> tuple[Attempt, ...]:
    """The attempts of workers at a trial's job."""
    return tuple(Attempt(**values) for values in trial.user_attrs["attempts"])


def result_of(trial: FrozenTrial) -> Result:
    """The result of a trial's job."""
    attrs = trial.user_attrs
    kind = Failure if "reason" in attrs else Measurement
    values = {field.name: attrs[field.name] for field in fields(kind) if field.name in attrs}
    return Failure(**values) if kind is Failure else Measurement.of(values)
