"""A job, and what comes of it: plain values that travel as JSON between the driver and the workers.

A worker owns one folder a job:

    job.json         what to train, and where (written by the driver)
    attempts.json    who has tried it, from when on and for how long
    progress.json    how far it is (replaced as it goes)
    epochs/          what it takes to go on from its last epoch; there while it is trained
    weights.safetensors, log.txt
    result.json      a Measurement or a Failure, put in place in one step when all else is there
    .lock            held by the worker, and by no two
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from expand.errors import RunFailed
from expand.files import read_json, write_json
from search_spaces.base import Json

_LEAVE = 60.0  # seconds that a worker whose driver was killed has to notice that


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: everything in it decides the Measurement, so its key names it.

    Attributes:
        space: the space as in SpaceConfig: name and settings.
        architecture: the network's integers, as the space writes them.
        sampling: the clips it sees (ClipSampling).
        recipe: how it is trained (TrainingConfig); holds the budget.
        data: the checksum of the data, the number of classes, what the cache holds, flips and jitter.
        seed: of the weights, the order of the clips and their augmentation.
        parent: key of the job whose weights it starts from; None: from scratch.
    """

    space: Json
    architecture: Json
    sampling: Json
    recipe: Json
    data: Json
    seed: int
    parent: str | None = None

    @cached_property
    def key(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the job's canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a job is done: decides nothing about its result.

    Attributes:
        cache: folder of the decoded videos.
        device: cpu, cuda or mps.
        threads: of the training process.
        keep_weights: whether to leave weights.safetensors in the job's folder.
        memory_share: how much of a CUDA device's memory the training may take. A batch that needs more is
            made in parts, which Measurement.micro_batch tells.
        events: folder for TensorBoard's event files; None: none are written.
        memory: bytes that it may take on a CPU, where too large a batch is made in parts, too; None: what its
            machine has available.
    """

    cache: str
    device: str
    threads: int
    keep_weights: bool
    memory_share: float = 1.0
    events: str | None = None
    memory: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What one training gave.

    Attributes:
        top1, top5, mean_class_accuracy: shares of the validation videos, after the last step.
        loss: mean over validation videos of −log of the probability given to the right class.
        train_loss: mean over the last tenth of the training clips.
        macs, params, activations: of the network as trained, for one clip (Complexity).
        clips_seen, epochs: training clips, and that number in epochs of the training split.
        seconds: wall clock, training and validation.
        peak_memory: bytes; of the device on CUDA, else of the process (its resident set).
        looped: training videos too short for a clip, which were looped.
        micro_batch: clips in one forward pass; below the batch size where memory is short.
        latency: seconds of a forward pass of one clip, in evaluation mode, the fastest of several.
        device, threads: where and with how many threads that was.
        host: the machine that did it.
    """

    top1: float
    top5: float
    mean_class_accuracy: float
    loss: float
    train_loss: float
    macs: int
    params: int
    activations: int
    clips_seen: int
    epochs: float
    seconds: float
    peak_memory: int
    looped: int
    micro_batch: int
    latency: float
    device: str
    threads: int
    host: str

    # What may differ between two runs of the same job; it stays out of the model files.
    VARYING = ("seconds", "peak_memory", "latency", "device", "threads", "host")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A training that gave nothing: the reason in a line, and the traceback where there is one."""

    reason: str
    traceback: str = ""


Result = Measurement | Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One worker's try at a job. A try that was cut off is followed by another, of this job or none.

    Attributes:
        host, process: the worker.
        started: seconds since 1970, by that machine's clock.
        seconds: how long it took, by a clock that never goes back; as far as is known, where it was cut off.
            None: not over yet.
    """

    host: str
    process: int
    started: float
    seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a training is: clips trained so far and in all, and the running loss."""

    clips: int
    total: int
    loss: float


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
    return Measurement(**values["measurement"]) if "measurement" in values else Failure(**values["failure"])


def read_progress(folder: Path) -> Progress | None:
    values = read_json(folder / "progress.json")
    return None if values is None else Progress(**values)
