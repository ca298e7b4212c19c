"""Does a job in a worker: reads it from its folder, trains, validates, and writes the result."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import logging
import shutil
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from expand.config.spaces import Space, load_space
from expand.config.training import TrainingConfig
from expand.data.base import SplitName
from expand.data.cache_reader import Cached, open_built
from expand.data.clips import Augment
from expand.data.labelled import Videos, read_segments
from expand.data.labels import SeveralLabels
from expand.data.sampling import looped
from expand.jobs.folder import EPOCHS, WEIGHTS, alone, attempting, read_job, read_result, write_result
from expand.jobs.job import Failure, Job, Measurement, Place, Result, TrainingProgress
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.files import disk_failed
from expand.system.folders import LOG
from expand.system.logs import log_to
from expand.system.units import show_bytes
from expand.system.version import VERSION
from expand.training.checkpoints import TrainingState, newest, write_checkpoint
from expand.training.devices import prepare
from expand.training.events import open_events
from expand.training.footprint import Footprint, halves, way_of
from expand.training.free_memory import free_memory
from expand.training.latency import measure_latency
from expand.training.loop import train
from expand.training.losses import Diverged, guess_loss
from expand.training.memory import limit_memory, out_of_memory, peak_bytes, release_memory, reset_peak
from expand.training.objectives import Validated, judge, load_objective
from expand.training.prediction import activation_of
from expand.training.schedule import learning_rate_factor
from expand.training.trainer import validate
from expand.weights.writing import save_weights
from search_spaces.base import ClipSampling, growth_of

_REPORT_EVERY = 0.5  # seconds between two writes of progress.json

log = logging.getLogger(__name__)


def run_job(folder: Path) -> None:
    """Do the job in a folder, and write its result.json: a Measurement, or a Failure if the training fails.

    Raises:
        RunFailed: another worker holds the job's lock, or a disk or the cache failed. No result is written.
        UserError: a name in the job cannot be imported here. No result is written.
    """
    with alone(folder):
        if read_result(folder) is None:  # a worker whose driver was killed may just have finished the job
            _run_job(folder)


def _run_job(folder: Path) -> None:
    job, place = read_job(folder)
    with log_to(folder / LOG), attempting(folder):
        log.info("job %s: %s, seed %d", job.key, ClipSampling(**job.sampling), job.seed)
        result = attempt(lambda: measure(job, place, folder))
        if isinstance(result, Failure):
            log.error("failed: %s\n%s", result.reason, result.traceback)
        else:
            words = load_objective(job.objective).words
            log.info("%s %.4f, loss %.4f, %.1f s", words, result.score, result.loss, result.seconds)
    write_result(folder, result)
    shutil.rmtree(folder / EPOCHS, ignore_errors=True)


def attempt(measure: Callable[[], Measurement]) -> Result:
    """The Measurement of `measure`, or a Failure if it raises an exception that the candidate causes.

    Raises:
        RunFailed: the disk or the cache failed, which the candidate does not cause.
        UserError: a name in the job is unknown or cannot be imported here.
    """
    try:
        return measure()
    except Diverged as error:
        return Failure(reason=str(error))
    except (RunFailed, UserError):
        raise
    except Exception as error:  # whatever a candidate does wrong fails that candidate, not the search
        if disk_failed(error):
            raise RunFailed(f"a worker could not write its files: {error}; make room and resume.") from error
        kind = "out of memory" if out_of_memory(error) else type(error).__name__
        return Failure(reason=f"{kind}: {first_line(error)}", traceback=traceback.format_exc())


def measure(job: Job, place: Place, folder: Path) -> Measurement:
    """Train, validate and, if the job says so, test its network; keep its weights if `place.keep_weights`.

    If memory runs out, training starts again with half as many clips in a forward pass (micro-batch).
    Gradients are accumulated, so the number of optimizer steps stays the same, but BatchNorm normalises the
    smaller micro-batches. On the CPU, where the system may kill a process that takes too much memory, the
    micro-batch is chosen in advance, by the closed form of the footprint.

    The training continues from the last epoch that an earlier attempt finished on the same device, if any.
    """
    data = open_built(Path(place.cache))
    recipe = TrainingConfig.model_validate(job.recipe)
    epochs = Epochs(folder / EPOCHS, place.device)
    limit_memory(place.device, place.memory_share)
    if place.device == "cpu":
        foresee_part(job, place, recipe, epochs)
    for micro_batch in halves(epochs.micro_batch or recipe.batch_size):
        release_memory(place.device)
        reset_peak(place.device)
        epochs.micro_batch = micro_batch
        try:
            return _measure(job, place, folder, data, recipe, epochs)
        except Exception as error:
            if micro_batch == 1 or not out_of_memory(error):
                raise
            log.warning("out of memory with %d clips in a pass, trying %d", micro_batch, micro_batch // 2)
            epochs.drop()
        gc.collect()  # frees tensors that the failed attempt holds in reference cycles
    raise AssertionError("the last micro-batch either returns or raises")


def foresee_part(job: Job, place: Place, recipe: TrainingConfig, epochs: Epochs) -> None:
    """Set the micro-batch of a training on the CPU by the closed form of its footprint.

    Raises:
        MemoryError: not even a micro-batch of one clip fits.
    """
    prepare(place.device, place.threads, job.seed)
    footprint, left = _footprint(job, place), free_memory(place.threads, given=place.memory)
    wanted = epochs.micro_batch or recipe.batch_size
    part = footprint.largest_part(wanted, left, batch=recipe.batch_size)
    if part is None:
        raise MemoryError(
            f"one clip at a time would take {show_bytes(footprint.training(recipe.batch_size, 1))}, and "
            f"{show_bytes(left or 0)} are left."
        )
    if part < wanted:
        log.warning(
            "%d clips in a forward pass, as %d would take %s of the %s left; BatchNorm normalises each pass",
            part,
            wanted,
            show_bytes(footprint.training(recipe.batch_size, wanted)),
            show_bytes(left or 0),
        )
        epochs.drop()
        epochs.micro_batch = part


def _footprint(job: Job, place: Place) -> Footprint:
    """The memory of the job's network on its device."""
    space = load_space(job.space["name"], job.space["settings"])
    architecture = space.architecture_from_json(job.architecture)
    complexity = space.complexity(architecture, job.data["num_classes"])
    return Footprint.of(complexity, ClipSampling(**job.sampling), way_of(place.device))


class Epochs:
    """The checkpoints of a short training, one after each epoch, from which a later attempt continues.

    Args:
        folder: the folder of the checkpoints.
        device: the kind of device; checkpoints of another kind, or of another version of xpand, are ignored.

    Attributes:
        state: the last checkpoint of an earlier attempt; None: no checkpoint.
        micro_batch: clips in a forward pass, in the checkpoint and from now on; None: not chosen yet.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self._folder, self._place = folder, [VERSION, device]
        self._begun = time.monotonic()
        state, _ = newest(folder)
        self.state = state if state is not None and state["place"] == self._place else None
        self.micro_batch: int | None = self.state["micro_batch"] if self.state else None

    @property
    def seconds(self) -> float:
        """Seconds of training in this attempt, and in earlier ones up to the checkpoint."""
        return (self.state["seconds"] if self.state else 0.0) + time.monotonic() - self._begun

    @property
    def peak(self) -> int:
        """The peak memory of earlier attempts up to the checkpoint, in bytes; 0: no checkpoint."""
        return self.state["peak_memory"] if self.state else 0

    def save(self, state: TrainingState, *, peak: int) -> None:
        """Write a checkpoint of a state that `train` gave, with this attempt's peak memory in bytes."""
        known = {"place": self._place, "seconds": self.seconds, "peak_memory": max(peak, self.peak)}
        write_checkpoint(self._folder, state | known)

    def drop(self) -> None:
        """Remove all checkpoints, so that the training starts from the beginning."""
        self.state = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _measure(
    job: Job,
    place: Place,
    folder: Path,
    data: Cached,
    recipe: TrainingConfig,
    epochs: Epochs,
) -> Measurement:
    """Train and validate once, with the micro-batch of `epochs`; raises whatever goes wrong."""
    prepare(place.device, place.threads, job.seed)
    space = load_space(job.space["name"], job.space["settings"])
    architecture = space.architecture_from_json(job.architecture)
    sampling, augment = ClipSampling(**job.sampling), _augment(job)
    videos = Videos(
        cached=data, segments=None if place.segments is None else read_segments(Path(place.segments))
    )
    targets = videos.labels("train", swaps=augment.swaps)
    network = space.build(
        architecture, job.data["num_classes"], dropout=recipe.dropout, residual_start=recipe.residual_start
    )
    if job.parent is not None:
        network.load_state_dict(grown_weights(space, recipe, job, folder.parent / job.parent))
        log.info("grown from %s", job.parent)
    first = epochs.state["clips"] if epochs.state else 0
    if first:
        log.info("continuing from epoch %.4g", first / len(data.train.labels))
    assert epochs.micro_batch is not None

    def rate(progress: TrainingProgress) -> float:
        return recipe.learning_rate * learning_rate_factor(progress.clips / progress.total, recipe.warmup)

    with open_events(place.events, rate, first=first) as events:
        write = _reporter(folder)

        def report(progress: TrainingProgress) -> None:
            write(progress)
            events.step(progress)

        loss = train(
            network,
            data.train,
            sampling,
            recipe,
            augment,
            seed=job.seed,
            device=place.device,
            micro_batch=epochs.micro_batch,
            report=report,
            targets=targets,
            state=epochs.state,
            save=lambda state: epochs.save(state, peak=peak_bytes(place.device)),
        )
        validated = _score(job, place, network, recipe, videos, "val")
        tested = None
        if job.test is not None:
            assert place.test_cache is not None, "a job with a test has a place with test videos"
            held_out = Videos(cached=open_built(Path(place.test_cache)), segments=videos.segments)
            tested = _score(job, place, network, recipe, held_out, "test")
        seconds = epochs.seconds
        if place.keep_weights:
            save_weights(folder / WEIGHTS, network.state_dict())
        complexity = space.complexity(architecture, job.data["num_classes"])
        clips = recipe.clips_of(len(data.train.labels))
        measurement = Measurement(
            **dataclasses.asdict(validated),
            train_loss=loss.last,
            epoch_losses=loss.epochs,
            macs=complexity.macs,
            params=complexity.params,
            activations=complexity.activations,
            clips_seen=clips,
            epochs=clips / len(data.train.labels),
            seconds=seconds,
            peak_memory=max(peak_bytes(place.device), epochs.peak),
            looped=looped(data.train, sampling),
            micro_batch=epochs.micro_batch,
            latency=measure_latency(network, space.example(architecture, 1), place.device),
            device=place.device,
            threads=place.threads,
            host=socket.gethostname(),
            guess_loss=guess_loss(
                targets,
                sampling,
                job.data["num_classes"],
                balanced=recipe.sampling == "balanced",
                label_smoothing=recipe.label_smoothing,
            ),
            test_score=None if tested is None else tested.score,
            test_top1=None if tested is None else tested.top1,
            test_mean_class_accuracy=None if tested is None else tested.mean_class_accuracy,
        )
        scores = ("score", "top1", "top5", "mean_class_accuracy", "loss")
        events.scores({f"val/{name}": getattr(measurement, name) for name in scores}, clips)
    return measurement


def _score(
    job: Job, place: Place, network: nn.Module, recipe: TrainingConfig, videos: Videos, split: SplitName
) -> Validated:
    """Score a trained network on the videos of a split, by the job's objective."""
    truth = videos.labels(split)
    probabilities = validate(
        network,
        videos.cached.splits[split],
        ClipSampling(**job.sampling),
        recipe,
        device=place.device,
        batch_size=_validation_batch(job, place, recipe),
        activation=activation_of(truth),
    )
    shown = truth.of_videos() if isinstance(truth, SeveralLabels) else truth.labels
    return judge(load_objective(job.objective), probabilities, shown)


def _validation_batch(job: Job, place: Place, recipe: TrainingConfig) -> int | None:
    """Clips in a forward pass of the validation; None: the default of `validate`."""
    if place.device != "cpu":
        return None
    left = free_memory(place.threads, given=place.memory)
    return _footprint(job, place).largest_batch(2 * recipe.batch_size, left)


def _augment(job: Job) -> Augment:
    """The augmentation that the job's JSON describes."""
    values = job.data["augmentation"]
    swaps, (low, high) = values["swaps"], values["jitter"]
    return Augment(swaps=None if swaps is None else tuple(swaps), jitter=(low, high))


def grown_weights(space: Space, recipe: TrainingConfig, job: Job, parent: Path) -> dict[str, Tensor]:
    """The weights that a job's network starts with, grown from those that its parent's job saved.

    Args:
        space: the job's space.
        recipe: its recipe.
        job: the job.
        parent: the folder of the parent's job.

    Raises:
        UserError: the parent's weights are missing or damaged.
    """
    path = parent / WEIGHTS
    if not path.exists():
        raise UserError(
            f"the parent's weights must be at {path}, but there is no such file: start another run."
        )
    try:
        weights = load_file(path)
    except SafetensorError:
        raise UserError(
            f"{path} must be the parent's weights, but it is cut off or of an unknown format: "
            "start another run."
        ) from None
    grow, (before, _) = growth_of(space), read_job(parent)
    assert grow is not None, "a search whose space cannot grow weights starts from scratch"
    return grow(
        space.architecture_from_json(before.architecture),
        weights,
        space.architecture_from_json(job.architecture),
        job.seed,
        residual_start=recipe.residual_start,
    )


def _reporter(folder: Path) -> Callable[[TrainingProgress], None]:
    """A function that writes progress.json, at most once every half second, and after the last step."""
    written = -_REPORT_EVERY

    def report(progress: TrainingProgress) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written >= _REPORT_EVERY or progress.clips == progress.total:
            written = now
            with contextlib.suppress(OSError):  # progress is for display only: the training must not fail
                partial = folder / ".progress.json.partial"
                partial.write_text(json.dumps(dataclasses.asdict(progress)), encoding="utf-8")
                partial.replace(folder / "progress.json")

    return report
