"""The folder of a run, and its Optuna study, which holds the result of each training.

    config.yaml      the whole configuration
    study.db         an Optuna study in SQLite, a trial for each candidate and seed; only the driver writes it
    report.html      all figures and tables of a finished run (expand/report/page.py)
    log.txt          the log, with times
    checkpoints/     a folder for each job (expand/jobs/folder.py)
    models/          a YAML file for each accepted state and each target, and their weights
    former/          models that an extension of the run has replaced, a folder for each extension

A new run is made in a temporary folder, which is then renamed, so that no run folder lacks its study.
"""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from expand.config.base import load_config, to_yaml, validated
from expand.config.data_paths import moved, placed
from expand.config.search import Config
from expand.config.spaces import look_in
from expand.jobs.folder import EPOCHS, WEIGHTS
from expand.jobs.job import Attempt, Job, Result
from expand.run.storage import StudyStorage, reading, writing_study
from expand.run.trials import attempts_of, key_of, result_of, trial_of
from expand.search.base import Candidate
from expand.search.setup import DataCard
from expand.system.errors import UserError, cannot_write
from expand.system.files import write_atomic
from expand.system.folders import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    MODELS,
    STUDY,
    TRAINING,
    Driver,
    announce,
    check_free,
    differences,
    locked,
    read_driver,
)
from expand.system.version import VERSION
from expand.training.objectives import load_objective

FORMER = "former"
FORMAT = 2  # the version of the study's attributes; version 1 had neither attempts nor latencies

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """How a run was extended: to further targets, or to surer decisions.

    Attributes:
        time: when, in seconds since 1970.
        config: the settings that decide, from then on.
        data: the data, as `asdict` of a DataCard.
        path: the names of the states that were accepted before.
    """

    time: float
    config: dict[str, Any]
    data: dict[str, Any]
    path: list[str]


class Run:
    """A run folder: one driver, which holds the lock, writes; others may read meanwhile.

    Run.create(folder, config, card)    # a new run; `with run.locked():` makes this process its driver
    Run.open(folder).results()          # an existing run; reading needs no lock
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, config: Config, data: DataCard) -> Run:
        """Create a run folder in one step.

        Raises:
            UserError: `folder` holds a run or other files, or cannot be written.
            RunFailed: the disk is full or failing; no part of the folder is left.
        """
        check_free(folder)
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        try:
            with writing_study(folder, "start again"):
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
        with warnings.catch_warnings():  # Optuna calls metric names experimental; dashboards show them
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
        """Open an existing run.

        Raises:
            UserError: the folder is no run.
        """
        if not folder.exists():
            raise UserError(
                f"{folder} must be the folder of a search, but nothing is there: "
                "name one that `xpand search` made."
            )
        if (folder / TRAINING).is_file():
            raise UserError(
                f"{folder} must be the folder of a search, but it is that of a full training: "
                f"`xpand status {folder}` shows it."
            )
        if not (folder / STUDY).is_file() or not (folder / CONFIG).is_file():
            raise UserError(
                f"{folder} must be a run folder with config.yaml and study.db, but it is not: "
                "name one that `xpand search` made."
            )
        return cls(folder)

    @cached_property
    def config(self) -> Config:
        config = load_config(self.folder / CONFIG, Config)
        look_in(config.run.modules)
        return config

    @cached_property
    def study(self) -> optuna.Study:
        """The Optuna study.

        Raises:
            UserError: study.db holds no study, cannot be read, or has another format.
        """
        path = self.folder / STUDY
        with reading(path):
            if not path.stat().st_size:  # Optuna would turn an empty file into a new database
                raise ValueError("it is empty")
            study = optuna.load_study(study_name=None, storage=StudyStorage(path))
            attrs = study.user_attrs
        if attrs.get("format") != FORMAT:
            raise UserError(
                f"{self.folder} must be a run of format {FORMAT}, got {attrs.get('format', 'an older one')}: "
                f"read it with the xpand that made it ({attrs.get('xpand', 'unknown')}), or search again."
            )
        return study

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """How the run was extended, in order."""
        return tuple(Extension(**values) for values in self.study.user_attrs.get("extensions", ()))

    @property
    def behind(self) -> bool:
        """Whether the models are still those from before the run was extended last."""
        written: int = self.study.user_attrs.get("written", 0)
        *earlier, _ = self._configs()
        return written < len(self.extensions) - self._half_extended(earlier)

    def note_written(self) -> None:
        """Record that the models are those of the run as it is extended by now; only the driver calls it."""
        if self.behind:
            with writing_study(self.folder / STUDY):
                self.study.set_user_attr("written", len(self.extensions))

    def note_timed(self, times: Mapping[str, int]) -> None:
        """Record the nanoseconds that models take on the profile's device; only the driver calls it."""
        if times:
            with writing_study(self.folder / STUDY):
                self.study.set_user_attr("timed", dict(times))

    @property
    def timed(self) -> Mapping[str, int]:
        """The nanoseconds that models take on the profile's device, by their names; empty: not timed."""
        found: Mapping[str, int] = self.study.user_attrs.get("timed", {})
        return found

    @property
    def data(self) -> DataCard:
        extended = self.extensions
        return DataCard.of(extended[-1].data if extended else self.study.user_attrs["data"])

    @property
    def starts(self) -> tuple[float, ...]:
        """When drivers started or resumed the run, in seconds since 1970."""
        return tuple(self.study.user_attrs.get("starts", ()))

    def note_start(self, **facts: Any) -> None:
        """Record that a driver starts or resumes the run now, with `facts` for the readers of `driver`."""
        with writing_study(self.folder / STUDY):
            self.study.set_user_attr("starts", [*self.starts, time.time()])
        announce(self.folder, facts)

    def driver(self) -> Driver | None:
        """Return the process that drives the run, or did until it was killed; None if there is none."""
        return read_driver(self.folder)

    def check_config(self) -> None:
        """Check that config.yaml still has the settings that the run was started with.

        An extension that was cut off before it wrote config.yaml does not count as made.

        Raises:
            UserError: a setting that affects the search has changed.
        """
        *earlier, latest = self._configs()
        changes = list(differences(latest, self.config.deciding()))
        if changes and not self._half_extended(earlier):
            raise UserError(
                f"{self.folder / CONFIG} must be as when the run was started, but it differs: "
                f"{'; '.join(changes)}. Change it back, or start another run with `xpand search --config`."
            )

    def _configs(self) -> list[dict[str, Any]]:
        """Return the deciding settings at the start of the run, and after each extension."""
        recorded = [self.study.user_attrs["config"], *(one.config for one in self.extensions)]
        # Validation adds the defaults of settings that the version that recorded them did not have yet.
        return [validated(one, f"{self.folder / STUDY}: config", Config).deciding() for one in recorded]

    def _half_extended(self, earlier: Sequence[dict[str, Any]]) -> bool:
        return bool(earlier) and self.config.deciding() == earlier[-1]

    def extend(self, config: Config, data: DataCard, path: Sequence[str]) -> None:
        """Record that the run goes on with other settings; only the driver calls it.

        Args:
            config: the settings.
            data: the data, with the caches that they need.
            path: the names of the accepted states so far.
        """
        now = Extension(time=time.time(), config=config.deciding(), data=asdict(data), path=list(path))
        with writing_study(self.folder / STUDY):
            self.study.set_user_attr("extensions", [asdict(one) for one in (*self.extensions, now)])
        self._write_config(config)

    def complete_extension(self) -> None:
        """Write config.yaml for an extension that was cut off before it did; only the driver calls it."""
        *earlier, latest = self._configs()
        if self._half_extended(earlier):
            values = self.config.model_dump(mode="json")
            for section, settings in latest.items():
                values[section] |= settings
            self._write_config(validated(values, f"{self.folder / STUDY}: extensions", Config))

    def _write_config(self, config: Config) -> None:
        write_atomic(self.folder / CONFIG, to_yaml(placed(config)))
        self.__dict__.pop("config", None)  # drop the cached value, so that the file is read again

    def set_aside(self, name: str) -> None:
        """Move a model that an extension has replaced out of models/, with its weights."""
        folder = self.folder / FORMER / str(len(self.extensions))
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.models_folder / f"{name}{suffix}" for suffix in (".safetensors", ".yaml")):
            if path.exists():
                path.replace(folder / path.name)

    def move_data(self, folder: Path) -> None:
        """Write to config.yaml that the videos are in another folder now; only the driver calls it."""
        self._write_config(moved(self.config, folder))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for this process as its only driver; the lock of a process that died is free.

        Raises:
            UserError: another process drives the run.
        """
        with locked(self.folder):
            yield

    def job_folder(self, job: Job | str) -> Path:
        """Return the folder of a job, given the job or its key."""
        return self.folder / CHECKPOINTS / (job if isinstance(job, str) else job.key)

    @property
    def models_folder(self) -> Path:
        return self.folder / MODELS

    @property
    def log_file(self) -> Path:
        return self.folder / LOG

    @property
    def segments_file(self) -> Path:
        """The file from which workers read the labelled parts of videos, where videos have several labels."""
        return self.folder / "segments.json"

    def curves_folder(self, round_number: int, candidate: str, seed: int) -> Path:
        """Return the folder for the TensorBoard event files of one training."""
        return self.folder / "tensorboard" / f"round-{round_number}" / f"{candidate}-seed-{seed}"

    def sweep(self) -> None:
        """Remove temporary files that killed drivers and workers have left; make folders that are missing.

        Git and some archives keep no empty folders, so a run that was copied by them may lack some.
        """
        for name in (CHECKPOINTS, MODELS):
            (self.folder / name).mkdir(exist_ok=True)
        for pattern in (".*.partial", f"{MODELS}/.*.partial", f"{CHECKPOINTS}/*/.*.partial"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def drop_leftovers(self, keep: Collection[str]) -> None:
        """Remove the files in checkpoints/ that a finished run needs no more: weights, and states of epochs.

        The weights of the models are kept in models/.

        Args:
            keep: the keys of jobs whose weights stay, to grow further networks from.
        """
        for path in (self.folder / CHECKPOINTS).glob(f"*/{WEIGHTS}"):
            if path.parent.name not in keep:
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
        """Add the result of a job to the study, in one transaction.

        Args:
            job: the job.
            candidate: the candidate that it trains.
            round_number: the number of its round.
            params: the candidate's point as JSON.
            result: the job's result.
            attempts: the attempts of workers at the job.

        Raises:
            RunFailed: study.db cannot be written.
        """
        trial = trial_of(job, candidate, round_number, params, result, attempts)
        with writing_study(self.folder / STUDY):
            self.study.add_trial(trial)

    def results(self) -> dict[str, Result]:
        """Return the results of all recorded jobs, by their keys."""
        return {key_of(trial): result_of(trial) for trial in self._trials()}

    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        """Return the attempts of workers at all recorded jobs, by the jobs' keys."""
        return {key_of(trial): attempts_of(trial) for trial in self._trials()}

    def _trials(self) -> list[FrozenTrial]:
        with reading(self.folder / STUDY):
            return self.study.get_trials(deepcopy=False)

    def models(self) -> dict[str, Path]:
        """Return the paths of the model files by name."""
        return {path.stem: path for path in sorted(self.models_folder.glob("*.yaml"))}
