"""Jobs and their results as values: what to train, where, and the measurement or failure that came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from search_spaces.base import Json

LabelCount = Literal["one", "several"]  # how many labels a video has

# A training has learned nothing while its loss is above this share of the loss of a guess.
LEARNED = 0.95
TRAIN_FACTOR = 3  # forward passes that a trained clip costs: one, and about two for the gradients


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training. Equal jobs give equal measurements, and have equal keys.

    Attributes:
        space: the fields of SpaceConfig: name and settings.
        architecture: the network's integers, by the space's `architecture_to_json`.
        sampling: the fields of ClipSampling: the clips that the network sees.
        recipe: the fields of TrainingConfig: the optimizer, its schedule and the budget.
        data: the data's checksum, number of classes, size and rate of cached frames, and augmentation.
        seed: seeds the initial weights, the order of the clips and their augmentation.
        parent: the key of the job whose weights the training starts from; None: from random weights.
        objective: the objective's name, or `module:Class`.
        labels: whether a video has one label or several.
        test: the checksum of the test videos on which the network is scored too, after its validation; None:
            it is not.
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
    test: str | None = None

    @cached_property
    def key(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the job's canonical JSON.

        The objective, the labels and the test videos are left out if they have their defaults, so that jobs
        from before these fields existed keep their keys.
        """
        values = asdict(self)
        defaults = {"objective": "top1", "labels": "one", "test": None}
        deciding = {name: value for name, value in values.items() if (name, value) not in defaults.items()}
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where and by what means a job is done; the search's decisions do not depend on it.

    Attributes:
        cache: the folder of the cache of decoded videos.
        device: cpu, cuda or mps.
        threads: threads of the training process.
        keep_weights: whether to write weights.safetensors into the job's folder.
        memory_share: the share of a CUDA device's memory that the training may take. A batch that needs more
            is split into micro-batches (Measurement.micro_batch).
        events: the folder for TensorBoard's event files; None: no event files.
        memory: bytes that the training may take on a CPU, where a batch that needs more is split too; None:
            as many as the machine has available.
        segments: the file with the labelled segments of each video (data.labelled); None: every video has
            one label.
        test_cache: the folder of the cache of the test videos; None: the job has no test.
    """

    cache: str
    device: str
    threads: int
    keep_weights: bool
    memory_share: float = 1.0
    events: str | None = None
    memory: int | None = None
    segments: str | None = None
    test_cache: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The results of one training.

    Attributes:
        score: the objective's score on the validation videos after the last step, on which the search's
            decisions depend.
        top1, top5, mean_class_accuracy: shares in [0, 1] of the validation videos; None: videos have several
            labels.
        loss: the mean loss of the validation videos in nats: −log of the probability of the right class; for
            videos with several labels the binary cross-entropy, over the videos that have any.
        train_loss: the mean training loss over the last tenth of the training clips, in nats.
        guess_loss: the training loss of the best guess that does not look at the clips: for one label, the
            entropy of the class frequencies. None: measured by a version that did not know it.
        macs, params, activations: the complexity of the trained network for one clip (Complexity).
        clips_seen, epochs: clips that were trained on, and their number in epochs of the training split.
        seconds: wall-clock seconds of training and validation.
        peak_memory: the peak in bytes of the device's memory on CUDA, else of the process's resident set.
        looped: number of training videos that are shorter than a clip, and so were looped.
        micro_batch: clips in one forward pass; less than the batch size if memory was short.
        latency: seconds of a forward pass of one clip in evaluation mode, the fastest of several.
        device, threads: the device, and the number of CPU threads.
        host: the name of the machine.
        video_scores: the score of each validation video by the objective, packed (per_video.py), to compare
            networks video by video. None: measured by a version that did not keep them.
        test_score: the objective's score on the test videos, which no decision depends on; None: the job has
            no test.
        test_top1, test_mean_class_accuracy: shares in [0, 1] of the test videos; None: the job has no test,
            or videos have several labels.
        epoch_losses: the mean training loss of each epoch, in nats; the last may be a part of one. None:
            measured by a version that did not keep them.
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
    guess_loss: float | None = None
    video_scores: str | None = None
    test_score: float | None = None
    test_top1: float | None = None
    test_mean_class_accuracy: float | None = None
    epoch_losses: tuple[float, ...] | None = None

    @property
    def spent(self) -> int:
        """The multiply-adds that the training took: those of a clip × clips × TRAIN_FACTOR."""
        return TRAIN_FACTOR * self.macs * self.clips_seen

    @property
    def learned(self) -> bool:
        """Whether the training has learned anything: its loss at the end is clearly below a guess's."""
        return self.guess_loss is None or self.train_loss < LEARNED * self.guess_loss

    # Fields that may differ between two runs of the same job; model files leave them out.
    VARYING = ("seconds", "peak_memory", "latency", "device", "threads", "host")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Measurement:
        """The measurement whose `asdict` is `values`, also after a round trip through JSON.

        Old ones have no score, which then is their top-1.
        """
        losses = values.get("epoch_losses")
        known = {} if losses is None else {"epoch_losses": tuple(losses)}
        return cls(**{"score": values.get("top1"), **values, **known})


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A training that failed: the reason in one line, and the traceback if an exception was the reason."""

    reason: str
    traceback: str = ""


Result = Measurement | Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One worker's attempt at a job; an attempt that is cut off may be followed by another.

    Attributes:
        host, process: the worker's machine and process id.
        started: the start, in seconds since 1970 by the clock of the worker's machine.
        seconds: the duration by a monotonic clock; of an attempt that was cut off, up to its last report of
            progress. None: the attempt is running, or was cut off and not closed yet.
    """

    host: str
    process: int
    started: float
    seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingProgress:
    """The progress of a training.

    Attributes:
        step: steps done.
        clips: clips trained on so far.
        total: clips of the whole training.
        loss: the loss of the last step.
    """

    step: int
    clips: int
    total: int
    loss: float
