"""The folder of a job, by which the driver and a worker exchange the job, its progress and its result.

One worker at a time writes to the folder:

    job.json              the Job, and the Place where it is done; written by the driver
    attempts.json         every worker's attempt at the job: host, process, start and duration
    progress.json         the TrainingProgress, replaced during the training
    epochs/               checkpoints after each epoch; removed when there is a result
    weights.safetensors   the trained weights, if they are kept
    log.txt               the log of the training
    result.json           the Measurement or Failure; written last, in one step
    .lock                 locked by the worker that does the job
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock, Timeout

from expand.jobs.job import Attempt, Failure, Job, Measurement, Place, Result, TrainingProgress
from expand.system.errors import RunFailed
from expand.system.files import read_json, write_json

WEIGHTS = "weights.safetensors"
RESULT = "result.json"
EPOCHS = "epochs"
LOCK_TIMEOUT = 60.0  # seconds; a worker whose driver was killed ends within them


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a job's folder, so that no other worker does the job.

    Waits for up to 60 s, since a worker whose driver was killed may take a moment to end.

    Raises:
        RunFailed: another worker still holds the lock after 60 s.
    """
    lock = FileLock(folder / ".lock", poll_interval=0.1)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        others = [f"process {attempt.process} on {attempt.host}" for attempt in read_attempts(folder)[-1:]]
        raise RunFailed(
            f"{folder} must have one worker, but {others[0] if others else 'another process'} still works in "
            f"it after {LOCK_TIMEOUT:g} s: end that process and resume."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def attempting(folder: Path) -> Iterator[None]:
    """Record an attempt of this process in attempts.json: its start and, at the end, its duration.

    After an exception the duration is not recorded; `close_attempts` then estimates it.
    """
    before, begun = close_attempts(folder), time.monotonic()
    now = Attempt(host=socket.gethostname(), process=os.getpid(), started=time.time(), seconds=None)
    write_attempts(folder, (*before, now))
    yield
    write_attempts(folder, (*before, replace(now, seconds=time.monotonic() - begun)))


def close_attempts(folder: Path) -> tuple[Attempt, ...]:
    """The attempts at a job on which no worker works now.

    If the last attempt was cut off, its duration is set to the time of its last progress.json, here and in
    attempts.json.
    """
    attempts = read_attempts(folder)
    if not attempts or attempts[-1].seconds is not None:
        return attempts
    *before, last = attempts
    progress = folder / "progress.json"
    reported = progress.stat().st_mtime if progress.exists() else last.started
    closed = (*before, replace(last, seconds=max(0.0, reported - last.started)))
    write_attempts(folder, closed)
    return closed


def read_attempts(folder: Path) -> tuple[Attempt, ...]:
    """The attempts at a job, the first one first."""
    return tuple(Attempt(**values) for values in read_json(folder / "attempts.json") or ())


def write_attempts(folder: Path, attempts: Sequence[Attempt]) -> None:
    """Write the attempts at a job, the first one first."""
    write_json(folder / "attempts.json", [asdict(attempt) for attempt in attempts])


def write_job(folder: Path, job: Job, place: Place) -> None:
    """Write a job into its folder, made if missing; the progress of an earlier attempt is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    close_attempts(folder)
    (folder / "progress.json").unlink(missing_ok=True)
    write_json(folder / "job.json", {"job": asdict(job), "place": asdict(place)})


def read_job(folder: Path) -> tuple[Job, Place]:
    """The job that `write_job` wrote into a folder."""
    values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return Job(**values["job"]), Place(**values["place"])


def write_result(folder: Path, result: Result) -> None:
    """Write a job's result in one step, so that readers never see a partial file."""
    key = "measurement" if isinstance(result, Measurement) else "failure"
    write_json(folder / RESULT, {key: asdict(result)})


def read_result(folder: Path) -> Result | None:
    """The job's result; None: no result yet."""
    values = read_json(folder / RESULT)
    if values is None:
        return None
    return Measurement.of(values["measurement"]) if "measurement" in values else Failure(**values["failure"])


def read_progress(folder: Path) -> TrainingProgress | None:
    """The progress of a job's training; None: no progress was reported yet."""
    values = read_json(folder / "progress.json")
    return None if values is None else TrainingProgress(**values)
