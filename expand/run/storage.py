"""Optuna's storage in a file, for whole trials."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import URL, func, insert, inspect, select


class StudyStorage(optuna.storages.RDBStorage):
    """A study database in SQLite, which one process writes.

    Optuna writes each parameter and attribute of a new trial by statements of its own, and looks the trial up
    before each, which takes longer than all else that is done for a candidate. Here a finished trial is a
    statement a table, for the same rows. The method is private, so pyproject.toml
    holds Optuna below its next minor version.
    """

    def __init__(self, path: Path) -> None:
        url = URL.create("sqlite", database=str(path.absolute())).render_as_string()
        braced = url.replace("{", "{{").replace("}", "}}")  # Optuna fills in templates
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


def _row(study_id: int, trial: FrozenTrial) -> dict[str, Any]:
    """A trial's own row. Optuna's model knows how times are kept, which differs between its versions."""
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
    """A trial's rows in other tables."""
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
