"""A job, and what comes of it: plain values that travel as JSON between the driver and the workers.

A worker owns one folder a job:

    job.json         what to train, and where (written by the driver)
    attempts.json    who has tried it, from when on and for how long
    progress.json    how far it is (replaced as it goes)
    epochs/          what it takes to go on from its last epoch; there while it is trained
    weights.safetensors, log.txt
    videos.npz       what it gave each validation video (per_video.py)
    result.json      a Measurement or a Failure, put in place in one step when all else is there
    .lock            held by the worker, and by no two
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
EPOCHS = "epochs"
_LEAVE = 60.0  # seconds that a worker whose driver was killed has to notice that


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one who works at a job: a worker whose driver was killed may be at it for a moment more.

    Raises:
        RunFailed: it does not leave.
    """
    lock = FileLock(folder / ".lock", poll_interval=0.1)
    try:
        lock.acquire(timeout=_LEAVE)
    except Timeout:
        at = [f"process {attempt.process} on {attempt.host}" for attempt in read_attempts(folder)[-1:]]
        raise RunFailed(
            f"{folder} must have one worker, but {at[0] if at else 'another'} is at it and does not end: "
            "end it and resume."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def attempting(folder: Path) -> Iterator[None]:
    """Note in a job's folder who works at it, from when on and, at the end, for how long."""
    before, begun = close_attempts(folder), time.monotonic()
    now = Attempt(host=socket.gethostname(), process=os.getpid(), started=time.time(), seconds=None)
    _write_attempts(folder, (*before, now))
    yield
    _write_attempts(folder, (*before, replace(now, seconds=time.monotonic() - begun)))


def close_attempts(folder: Path) -> tuple[Attempt, ...]:
    """The attempts at a job that nobody works at any more; one that was cut off lasted to its last report."""
    attempts = read_attempts(folder)
    if not attempts or attempts[-1].seconds is not None:
        return attempts
    *before, last = attempts
    progress = folder / "progress.json"
    reported = progress.stat().st_mtime if progress.exists() else last.started
    closed = (*before, replace(last, seconds=max(0.0, reported - last.started)))
    _write_attempts(folder, closed)
    return closed


def read_attempts(folder: Path) -> tuple[Attempt, ...]:
    return tuple(Attempt(**values) for values in read_json(folder / "attempts.json") or ())


def _write_attempts(folder: Path, attempts: Sequence[Attempt]) -> None:
    write_json(folder / "attempts.json", [asdict(attempt) for attempt in attempts])


def write_job(folder: Path, job: Job, place: Place) -> None:
    """Make a job's folder ready; what a killed worker last said of its progress no longer counts."""
    folder.mkdir(parents=True, exist_ok=True)
    close_attempts(folder)
    (folder / "progress.json").unlink(missing_ok=True)
    write_json(folder / "job.json", {"job": asdict(job), "place": asdict(place)})


def read_job(folder: Path) -> tuple[Job, Place]:
    values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return Job(**values["job"]), Place(**values["place"])


def write_result(folder: Path, result: Result) -> None:
    key = "measurement" if isinstance(result, Measurement) else "failure"
    write_json(folder / "result.json", {key: asdict(result)})


def read_result(folder: Path) -> Result | None:
    """The job's result, or None where there is none yet."""
    values = read_json(folder / "result.json")
    if values is None:
        return None
    return Measurement.of(values["measurement"]) if "measurement" in values else Failure(**values["failure"])


def read_progress(folder: Path) -> TrainingProgress | None:
    values = read_json(folder / "progress.json")
    return None if values is None else TrainingProgress(**values)
