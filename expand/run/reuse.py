"""Takes over what other runs have measured: equal jobs give equal measurements, wherever they were done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from expand.jobs.folder import WEIGHTS, write_attempts, write_result
from expand.jobs.job import Attempt, Measurement
from expand.run.study import Run
from expand.search.setup import DataCard
from expand.system.errors import UserError
from expand.system.files import link_or_copy, replacing


@dataclass(frozen=True, kw_only=True, slots=True)
class Reusable:
    """What another run has of a training.

    Attributes:
        measurement: its result.
        attempts: of workers at it.
        weights: where its weights are, if they are kept.
    """

    measurement: Measurement
    attempts: tuple[Attempt, ...]
    weights: Path


def reusable(folders: Sequence[Path], data: DataCard) -> dict[str, Reusable]:
    """What other runs have measured, by the jobs' keys.

    Of a training that several have, it is that of the first run that has its weights, else that of the first.

    Args:
        folders: of the runs.
        data: of the run that takes it over.

    Raises:
        UserError: a folder is no run, or a run has other videos.
    """
    found: dict[str, Reusable] = {}
    for folder in folders:
        run = Run.open(folder)
        if run.data.checksum != data.checksum:
            raise UserError(
                f"a run whose measurements are taken over must have the same videos, {data.name} with "
                f"checksum {data.checksum[:12]}, but {folder} has {run.data.name} with "
                f"{run.data.checksum[:12]}: leave it out of --reuse."
            )
        attempts = run.attempts()
        for key, result in run.results().items():
            if isinstance(result, Measurement):
                one = Reusable(
                    measurement=result,
                    attempts=attempts.get(key, ()),
                    weights=run.job_folder(key) / WEIGHTS,
                )
                before = found.get(key)
                if before is None or (one.weights.exists() and not before.weights.exists()):
                    found[key] = one
    return found


def take_over(folder: Path, found: Reusable) -> None:
    """Write a measurement into the folder of its job, with its attempts, and its weights if they are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    if found.weights.exists():
        with replacing(folder / WEIGHTS) as partial:
            link_or_copy(found.weights, partial)
    write_attempts(folder, found.attempts)
    write_result(folder, found.measurement)
