"""The interface of workers, and the functions that all kinds of workers share."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from expand.jobs.folder import write_result
from expand.jobs.job import Failure
from expand.system.units import show_seconds

TRAINER = "expand.training.candidate:run_job"


@dataclass(frozen=True, slots=True)
class Task:
    """A job's folder, and the time limit of an attempt in seconds; None for no limit."""

    folder: Path
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended, with or without a result.

    Attributes:
        folder: the job's folder, which holds its result if `lost` is None.
        lost: how the last worker died, where every attempt ended with the death of its worker, so that there
            is no result; else None.
    """

    folder: Path
    lost: str | None = None


class Workers(Protocol):
    """Trains candidates, a job each; the docstring of the package has an example."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Start these jobs in this order, and yield each when it has ended.

        Raises:
            RunFailed: a failure that is no job's fault, such as a full disk or a lost cluster.
        """
        ...


def find_trainer(name: str) -> Callable[[Path], None]:
    """Import the function that `module:function` names."""
    module, _, function = name.partition(":")
    trainer: Callable[[Path], None] = getattr(importlib.import_module(module), function)
    return trainer


def fail_overdue(task: Task) -> None:
    """Write a Failure as the result of a job that was ended at its time limit."""
    assert task.limit is not None
    reason = f"it had not ended after {show_seconds(task.limit)}, far longer than expected (run.time_limit)"
    write_result(task.folder, Failure(reason=reason))
