from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from expand.run.storage import StudyStorage


def trials() -> list[FrozenTrial]:
    """One that is complete, one that reported values, one that failed, and one with nothing."""
    low_to_high = FloatDistribution(2.0**-6, 2.0**10, log=True)
    options: list[dict[str, Any]] = [
        {
            "state": TrialState.COMPLETE,
            "value": 0.25,
            "params": {"depth": 2.2, "width": 1.0},
            "distributions": {"depth": low_to_high, "width": low_to_high},
            "user_attrs": {"candidate": "depth", "architecture": {"widths": [24, 48]}, "axis": None},
        },
        {
            "state": TrialState.COMPLETE,
            "value": 0.5,
            "intermediate_values": {1: 0.25, 3: float("nan"), 4: float("inf")},
            "system_attrs": {"fixed_params": {"depth": 2.0}},
        },
        {"state": TrialState.FAIL, "value": None, "user_attrs": {"reason": "the training loss is nan"}},
        {"state": TrialState.COMPLETE, "value": float("inf")},
    ]
    made = [optuna.trial.create_trial(**each) for each in options]
    for day, trial in enumerate(made, start=1):
        trial.datetime_start = datetime.datetime(2026, 7, day)
        trial.datetime_complete = datetime.datetime(2026, 7, day, 12)
    return made


def rows(path: Path) -> list[str]:
    """All that a database holds, as SQL."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_the_rows_are_those_that_optuna_writes(tmp_path: Path) -> None:
    own, theirs = tmp_path / "own.db", tmp_path / "theirs.db"
    storages = [StudyStorage(own), optuna.storages.RDBStorage(f"sqlite:///{theirs}")]
    for storage in storages:
        study = optuna.create_study(storage=storage, study_name="run", direction="maximize")
        for trial in trials():
            study.add_trial(trial)
        storage.engine.dispose()
    assert rows(own) == rows(theirs)


def test_trials_are_read_as_they_were_added(tmp_path: Path) -> None:
    study = optuna.create_study(storage=StudyStorage(tmp_path / "study.db"), direction="maximize")
    for trial in trials():
        study.add_trial(trial)
    again = optuna.load_study(study_name=None, storage=StudyStorage(tmp_path / "study.db"))
    assert repr(study.trials) == repr(again.trials)  # NaN is not equal to itself
    assert [trial.number for trial in again.trials] == [0, 1, 2, 3]
    assert [trial.user_attrs for trial in again.trials] == [trial.user_attrs for trial in trials()]


def test_a_trial_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    study = optuna.create_study(storage=StudyStorage(tmp_path / "study.db"), direction="maximize")
    (bad, *_) = trials()
    bad.set_user_attr("device", object())
    with pytest.raises(TypeError, match="not JSON serializable"):
        study.add_trial(bad)
    assert study.trials == []


def test_a_trial_that_runs_is_optunas_own(tmp_path: Path) -> None:
    study = optuna.create_study(storage=StudyStorage(tmp_path / "study.db"), direction="maximize")
    trial = study.ask()
    study.tell(trial, 0.5)
    assert study.best_value == 0.5
