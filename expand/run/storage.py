"""Optuna's SQLite storage, with a faster way to add a finished trial; its errors in plain words."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import URL, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from expand.system.errors import RunFailed, UserError, first_line
from expand.system.files import writing


class StudyStorage(optuna.storages.RDBStorage):
    """A study database in SQLite, which one process writes.

    Optuna writes each parameter and attribute of a new trial by a statement of its own, and looks the trial
    up before each, which takes longer than all the driver's other work on a candidate. This class writes the
    same rows of a finished trial by one statement for each table. It overrides a private method, so
    pyproject.toml holds Optuna below its next minor version.
    """

    def __init__(self, path: Path) -> None:
        url = URL.create("sqlite", database=str(path.absolute())).render_as_string()
        braced = url.replace("{", "{{").replace("}", "}}")  # Optuna takes the URL as a template
        super().__init__(braced, engine_kwargs={"connect_args": {"timeout": 60}})

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if template_trial is None or not template_trial.state.is_finished():
            return super()._create_new_trial(study_id, template_trial)
        trial = copy.deepcopy(template_trial)
        before = select(func.count(models.TrialModel.trial_id)).where(models.TrialModel.study_id == study_id)
        with self.engine.begin() as connection:
            trial.number = connection.execute(before).scalar_one()
            added = connection.execute(insert(models.TrialModel.__table__), _row(study_id, trial))
            trial._trial_id = added.lastrowid
            for model, rows in _parts(trial):
                if rows:
                    connection.execute(insert(model.__table__), rows)
        return trial


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged study.db inside the block into a UserError that names `path`."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} must hold one whole Optuna study, but it cannot be read: "
            f"{first_line(error.__cause__ or error)}; put back a copy of it, or start a new run with what is "
            "in checkpoints/ (docs/workers.md)."
        ) from None


@contextmanager
def writing_study(path: Path, then: str = "resume") -> Iterator[None]:
    """Turn disk errors inside the block into a RunFailed, as `files.writing` does, those of SQLite included.

    Raises:
        RunFailed: `path` cannot be written.
    """
    try:
        with writing(path, then):
            yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = first_line(error.__cause__ or error)
        raise RunFailed(f"{path} cannot be written: {why}; make room and {then}.") from error


def _row(study_id: int, trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's row in the table of trials, by the names of its columns.

    It is made by Optuna's model of the table, as versions of Optuna store times differently.
    """
    row = models.TrialModel(
        study_id=study_id,
        number=trial.number,
        state=trial.state,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
    )
    columns = ((found.columns[0], found.key) for found in inspect(models.TrialModel).column_attrs)
    return {column.name: getattr(row, key) for column, key in columns if not column.primary_key}


def _parts(trial: FrozenTrial) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Yield each further table of Optuna with the trial's rows in it."""
    key = {"trial_id": trial._trial_id}
    stored = [models.TrialValueModel.value_to_stored_repr(value) for value in trial.values or ()]
    yield (
        models.TrialValueModel,
        [
            {**key, "objective": place, "value": value, "value_type": kind}
            for place, (value, kind) in enumerate(stored)
        ],
    )
    yield (
        models.TrialParamModel,
        [
            {
                **key,
                "param_name": name,
                "param_value": trial.distributions[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(trial.distributions[name]),
            }
            for name, value in trial.params.items()
        ],
    )
    attributes = (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    )
    for model, named in attributes:
        yield model, [{**key, "key": name, "value_json": json.dumps(value)} for name, value in named.items()]
    reported = models.TrialIntermediateValueModel
    rows = (
        (step, *reported.intermediate_value_to_stored_repr(v))
        for step, v in trial.intermediate_values.items()
    )
    columns = ("step", "intermediate_value", "intermediate_value_type")
    yield reported, [key | dict(zip(columns, row, strict=True)) for row in rows]
