"""A job and what came of it, as values: what a worker is asked for, and what it answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from search_spaces.base import Json

LabelCount = Literal["one", "several"]  # of a video


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
        objective: how it is scored, by its name or as `module:Class`.
        labels: of a video: one, or several.
    """

    space: Json
    architecture: Json
    sampling: Json
    recipe: Json
    data: Json
    seed: int
    parent: str | None = None
    objective: str = "top1"
    labels: LabelCount = "one"

    @cached_property
    def key(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the job's canonical JSON.

        The objective and the kind of labels are in it where they are not the usual ones, so that the keys of
        jobs from before there were others hold.
        """
        values = asdict(self)
        usual = {"objective": "top1", "labels": "one"}
        deciding = {name: value for name, value in values.items() if (name, value) not in usual.items()}
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
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
        segments: file that says what each video shows (data.labelled); None: every video has one label.
    """

    cache: str
    device: str
    threads: int
    keep_weights: bool
    memory_share: float = 1.0
    events: str | None = None
    memory: int | None = None
    segments: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What one training gave.

    Attributes:
        score: what the objective gives the validation videos, after the last step; it decides the search.
        top1, top5, mean_class_accuracy: shares of the validation videos; None: they have several labels.
        loss: mean over validation videos of −log of the probability given to the right class; of several
            labels, of the binary cross-entropy, over those that have any.
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

    score: float
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
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

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Measurement:
        """From what `asdict` gave; one from before there were other objectives was scored by its top-1."""
        return cls(**{"score": values.get("top1"), **values})


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
class TrainingProgress:
    """How far a training is: steps made, clips trained and to be trained in all, and the last step's loss."""

    step: int
    clips: int
    total: int
    loss: float
