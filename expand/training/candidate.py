"""A job's whole life in a worker: read it, train, validate, leave its result."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from expand.config import TrainingConfig
from expand.data.cache import Cached, open_built
from expand.data.clips import Augment
from expand.data.sampling import looped
from expand.errors import UserError, first_line
from expand.files import replacing
from expand.jobs import Failure, Job, Measurement, Place, Progress, Result, attempting, read_job, write_result
from expand.logs import log_to
from expand.spaces import load_space
from expand.training.devices import place_network, prepare
from expand.training.events import open_events
from expand.training.latency import measure_latency
from expand.training.losses import Diverged
from expand.training.memory import limit_memory, out_of_memory, peak_bytes, release_memory, reset_peak
from expand.training.trainer import budget_clips, each_micro_batch, train, validate
from search_spaces.base import ClipSampling

WEIGHTS = "weights.safetensors"
_REPORT_EVERY = 0.5  # seconds between two writes of progress.json

log = logging.getLogger(__name__)


def run_job(folder: Path) -> None:
    """Do the job of a folder; its result.json is there afterwards, whatever happened but an interruption."""
    job, place = read_job(folder)
    with log_to(folder / "log.txt"), attempting(folder):
        log.info("job %s: %s, seed %d", job.key, ClipSampling(**job.sampling), job.seed)
        result = attempt(lambda: measure(job, place, folder))
        if isinstance(result, Failure):
            log.error("failed: %s\n%s", result.reason, result.traceback)
        else:
            log.info("top-1 %.4f, loss %.4f, %.1f s", result.top1, result.loss, result.seconds)
    write_result(folder, result)


def attempt(measure: Callable[[], Measurement]) -> Result:
    """A Measurement, or the Failure that an exception means for a candidate."""
    try:
        return measure()
    except Diverged as error:
        return Failure(reason=str(error))
    except Exception as error:  # whatever a candidate does wrong fails that candidate, not the search
        kind = "out of memory" if out_of_memory(error) else type(error).__name__
        return Failure(reason=f"{kind}: {first_line(error)}", traceback=traceback.format_exc())


def measure(job: Job, place: Place, folder: Path) -> Measurement:
    """Train and validate the job's network; leave its weights in `folder` if asked.

    When a device's memory runs out, training starts again with half the clips in a forward pass; gradients
    are accumulated, so the optimizer steps stay the same, but BatchNorm then sees the smaller batch.
    """
    data = open_built(Path(place.cache))
    recipe = TrainingConfig.model_validate(job.recipe)
    started = time.monotonic()
    limit_memory(place.device, place.memory_share)
    for micro_batch in each_micro_batch(recipe.batch_size):
        release_memory(place.device)
        reset_peak(place.device)
        try:
            return _measure(job, place, folder, data, recipe, micro_batch, started)
        except torch.OutOfMemoryError:
            if micro_batch == 1:
                raise
            log.warning("out of memory with %d clips in a pass, trying %d", micro_batch, micro_batch // 2)
    raise AssertionError("the last micro-batch either returns or raises")


def _measure(
    job: Job,
    place: Place,
    folder: Path,
    data: Cached,
    recipe: TrainingConfig,
    micro_batch: int,
    started: float,
) -> Measurement:
    prepare(place.device, place.threads, job.seed)
    space = load_space(job.space["name"], job.space["settings"])
    architecture = space.architecture_from_json(job.architecture)
    sampling = ClipSampling(**job.sampling)
    network = space.build(
        architecture, job.data["num_classes"], dropout=recipe.dropout, zero_init=recipe.zero_init
    )
    if job.parent is not None:
        inherited = inherit(network, folder.parent / job.parent / WEIGHTS)
        log.info("%d of %d tensors from %s", inherited, len(network.state_dict()), job.parent)
    place_network(network, place.device)
    with open_events(place.events, recipe) as events:
        write = _reporter(folder)

        def report(progress: Progress) -> None:
            write(progress)
            events.step(progress)

        train_loss = train(
            network,
            data.train,
            sampling,
            recipe,
            _augment(job),
            seed=job.seed,
            device=place.device,
            micro_batch=micro_batch,
            report=report,
        )
        scores = validate(network, data.val, sampling, recipe, device=place.device)
        seconds = time.monotonic() - started
        if place.keep_weights:
            save_weights(network, folder / WEIGHTS)
        complexity = space.complexity(architecture, job.data["num_classes"])
        clips = budget_clips(recipe, len(data.train.labels))
        measurement = Measurement(
            **dataclasses.asdict(scores),
            train_loss=train_loss,
            macs=complexity.macs,
            params=complexity.params,
            activations=complexity.activations,
            clips_seen=clips,
            epochs=clips / len(data.train.labels),
            seconds=seconds,
            peak_memory=peak_bytes(place.device),
            looped=looped(data.train, sampling),
            micro_batch=micro_batch,
            latency=measure_latency(network, sampling, place.device),
            device=place.device,
            threads=place.threads,
            host=socket.gethostname(),
        )
        events.end(measurement)
    return measurement


def _augment(job: Job) -> Augment:
    values = job.data["augmentation"]
    swaps, (low, high) = values["swaps"], values["jitter"]
    return Augment(swaps=None if swaps is None else tuple(swaps), jitter=(low, high))


def inherit(network: nn.Module, path: Path) -> int:
    """Take over the tensors of a parent that have the same name and shape here; how many there were."""
    if not path.exists():
        raise UserError(f"the parent's weights must be at {path}, but they are not.")
    parent, own = load_file(path), network.state_dict()
    matching = {
        name: value for name, value in parent.items() if name in own and value.shape == own[name].shape
    }
    network.load_state_dict({**own, **matching})
    return len(matching)


def save_weights(network: nn.Module, path: Path) -> None:
    """The state dict as safetensors; the same weights give the same bytes."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as partial:
        save_file(weights, partial)


def _reporter(folder: Path) -> Callable[[Progress], None]:
    """Writes progress.json, not more often than every half second."""
    written = -_REPORT_EVERY

    def report(progress: Progress) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written >= _REPORT_EVERY or progress.clips == progress.total:
            written = now
            partial = folder / ".progress.json.partial"
            partial.write_text(json.dumps(dataclasses.asdict(progress)), encoding="utf-8")
            partial.replace(folder / "progress.json")

    return report
