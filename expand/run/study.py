"""The run folder and its Optuna study: what has been measured, each thing once.

    config.yaml      the configuration, whole
    study.db         an Optuna study in SQLite: a trial per candidate and seed; written by the driver alone
    report.html      all figures and tables of a finished run (report.py)
    log.txt          what happened when
    checkpoints/     a folder a job (jobs.py)
    models/          a YAML for each accepted state and each target, and their weights

A run folder appears whole, by one rename, so there is none that lacks its study.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from expand.config.base import load_config, to_yaml, validated
from expand.config.data_paths import moved, placed
from expand.config.search import Config
from expand.jobs.folder import EPOCHS, WEIGHTS
from expand.jobs.job import Attempt, Failure, Job, Measurement, Result
from expand.run.storage import StudyStorage
from expand.search.base import Candidate
from expand.search.setup import DataCard
from expand.system.errors import RunFailed, UserError, cannot_write, first_line
from expand.system.files import write_atomic, writing
from expand.system.folders import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    MODELS,
    STUDY,
    Driver,
    announce,
    check_free,
    differences,
    locked,
    read_driver,
)
from expand.system.version import VERSION
from expand.training.objectives import load_objective

FORMAT = 2  # of what a study holds; 1 had neither attempts nor latencies

_FACTORS = (2.0**-6, 2.0**10)  # a range for Optuna's plots, which scale by it; nothing samples from it

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Run:
    """A run folder.

    with Run.create(folder, config, card) as run, run.locked(): ...
    Run.open(folder).results()          # without the lock: to look at it, also while it runs
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, config: Config, data: DataCard) -> Run:
        """A new run folder, in place in one step.

        Raises:
            UserError: there is something at `folder` already, or it cannot be written.
            RunFailed: the disk is full or failing; nothing is left there.
        """
        check_free(folder)
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        try:
            with _writing(folder, "start again"):
                return cls._create(folder, partial, config, data)
        except OSError as error:
            raise cannot_write(folder, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @classmethod
    def _create(cls, folder: Path, partial: Path, config: Config, data: DataCard) -> Run:
        shutil.rmtree(partial, ignore_errors=True)
        for name in (CHECKPOINTS, MODELS):
            (partial / name).mkdir(parents=True)
        (partial / CONFIG).write_text(to_yaml(placed(config)), encoding="utf-8")
        storage = StudyStorage(partial / STUDY)
        study = optuna.create_study(storage=storage, study_name=folder.name, direction="maximize")
        with warnings.catch_warnings():  # a name for dashboards; experimental in Optuna
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([load_objective(config.search.objective).name])
        study.set_user_attr("format", FORMAT)
        study.set_user_attr("xpand", VERSION)
        study.set_user_attr("config", config.deciding())
        study.set_user_attr("data", asdict(data))
        storage.engine.dispose()
        partial.rename(folder)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run.

        Raises:
            UserError: the folder is no run.
        """
        if not (folder / STUDY).is_file() or not (folder / CONFIG).is_file():
            raise UserError(
                f"{folder} must be a run folder with config.yaml and study.db, but it is not: "
                "name one that `xpand search` made."
            )
        return cls(folder)

    @cached_property
    def config(self) -> Config:
        return load_config(self.folder / CONFIG, Config)

    @cached_property
    def study(self) -> optuna.Study:
        """The study.

        Raises:
            UserError: study.db holds none, or one that another version wrote in another way.
        """
        path = self.folder / STUDY
        with _reading(path):
            if not path.stat().st_size:  # Optuna would make a new database of it
                raise ValueError("it is empty")
            study = optuna.load_study(study_name=None, storage=StudyStorage(path))
            attrs = study.user_attrs
        if attrs.get("format") != FORMAT:
            raise UserError(
                f"{self.folder} must be a run of format {FORMAT}, got {attrs.get('format', 'an older one')}: "
                f"read it with the xpand that made it ({attrs.get('xpand', 'unknown')}), or search again."
            )
        return study

    @cached_property
    def data(self) -> DataCard:
        return DataCard.of(self.study.user_attrs["data"])

    @property
    def starts(self) -> tuple[float, ...]:
        """When a driver started or went on, in seconds since 1970."""
        return tuple(self.study.user_attrs.get("starts", ()))

    def note_start(self, **facts: Any) -> None:
        """A driver starts or goes on, now; `facts` is what `driver` says of it besides."""
        with _writing(self.folder / STUDY):
            self.study.set_user_attr("starts", [*self.starts, time.time()])
        announce(self.folder, facts)

    def driver(self) -> Driver | None:
        """Who drives it, or was the last to do so."""
        return read_driver(self.folder)

    def check_config(self) -> None:
        """Raises UserError where config.yaml no longer says what the run was started with."""
        # Read anew: settings that there were not yet have their defaults.
        then = validated(self.study.user_attrs["config"], f"{self.folder / STUDY}: config", Config)
        changes = list(differences(then.deciding(), self.config.deciding()))
        if changes:
            raise UserError(
                f"{self.folder / CONFIG} must be as the run was started, but it differs: "
                f"{'; '.join(changes)}. Change it back, or start another run with `xpand search --config`."
            )

    def move_data(self, folder: Path) -> None:
        """Keep where the videos are now; for the driver alone."""
        write_atomic(self.folder / CONFIG, to_yaml(placed(moved(self.config, folder))))
        del self.config  # it is read again

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run as its only driver. The lock of a process that died is free.

        Raises:
            UserError: another process drives it; says which.
        """
        with locked(self.folder):
            yield

    def job_folder(self, job: Job | str) -> Path:
        """The folder of a job, or of the job with this key."""
        return self.folder / CHECKPOINTS / (job if isinstance(job, str) else job.key)

    @property
    def models_folder(self) -> Path:
        return self.folder / MODELS

    @property
    def log_file(self) -> Path:
        return self.folder / LOG

    @property
    def segments_file(self) -> Path:
        """What the videos show, for the workers, where they have several labels."""
        return self.folder / "segments.json"

    def curves_folder(self, round_number: int, candidate: str, seed: int) -> Path:
        """For the event files of one training."""
        return self.folder / "tensorboard" / f"round-{round_number}" / f"{candidate}-seed-{seed}"

    def sweep(self) -> None:
        """Remove the temporary files of a killed driver or worker."""
        for pattern in (".*.partial", f"{MODELS}/.*.partial", f"{CHECKPOINTS}/*/.*.partial"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def drop_leftovers(self) -> None:
        """Remove what nobody reads once a run is finished: its weights are those beside its models."""
        for path in (self.folder / CHECKPOINTS).glob(f"*/{WEIGHTS}"):
            path.unlink()
        for path in (self.folder / CHECKPOINTS).glob(f"*/{EPOCHS}"):  # of trainings that failed
            shutil.rmtree(path)

    def record(
        self,
        job: Job,
        candidate: Candidate,
        round_number: int,
        params: dict[str, Any],
        result: Result,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        """Add a finished job to the study, in one transaction."""
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
        with _writing(self.folder / STUDY):
            self.study.add_trial(trial)

    def results(self) -> dict[str, Result]:
        """All that has been measured, by the job's key."""
        return {trial.user_attrs["job"]: _result(trial.user_attrs) for trial in self._trials()}

    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        """Who worked when at the jobs that are recorded, by the job's key."""
        return {
            trial.user_attrs["job"]: tuple(Attempt(**values) for values in trial.user_attrs["attempts"])
            for trial in self._trials()
        }

    def _trials(self) -> list[FrozenTrial]:
        with _reading(self.folder / STUDY):
            return self.study.get_trials(deepcopy=False)

    def models(self) -> dict[str, Path]:
        """The model files by name."""
        return {path.stem: path for path in sorted(self.models_folder.glob("*.yaml"))}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises UserError where study.db is torn, or not what it is said to be."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} must hold one whole Optuna study, but it cannot be read: "
            f"{first_line(error.__cause__ or error)}; put back a copy of it, or start a new run with what is "
            "in checkpoints/ (docs/workers.md)."
        ) from None


@contextmanager
def _writing(path: Path, then: str = "resume") -> Iterator[None]:
    """As files.writing; also where it is SQLite that says so.

    Raises:
        RunFailed: `path` cannot be written.
    """
    try:
        with writing(path, then):
            yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = first_line(error.__cause__ or error)
        raise RunFailed(f"{path} cannot be written: {why}; make room and {then}.") from error


def _result(attrs: Mapping[str, Any]) -> Result:
    kind = Failure if "reason" in attrs else Measurement
    values = {field.name: attrs[field.name] for field in fields(kind) if field.name in attrs}
    return Failure(**values) if kind is Failure else Measurement.of(values)
