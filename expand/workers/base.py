"""What all kinds of workers have in common."""

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
    """A job's folder, and how many seconds an attempt at it may take; None: any number."""

    folder: Path
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that nobody works at any more.

    Attributes:
        folder: the job's; its result is in place where `lost` is None.
        lost: how its last worker ended, where each of them died at it: there is no result.
    """

    folder: Path
    lost: str | None = None


class Workers(Protocol):
    """Does jobs; see the package's docstring."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Do these jobs, started in this order; yields each when it has ended.

        Raises:
            RunFailed: something that is no job's fault, such as a full disk or a cluster that is gone.
        """
        ...


def find_trainer(name: str) -> Callable[[Path], None]:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    trainer: Callable[[Path], None] = getattr(importlib.import_module(module), function)
    return trainer


def fail_overdue(task: Task) -> None:
    """Leave the result of a job that was ended for taking too long."""
    assert task.limit is not None
    reason = f"it had not ended after {show_seconds(task.limit)}, far longer than expected (run.time_limit)"
    write_result(task.folder, Failure(reason=reason))
