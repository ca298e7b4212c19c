"""A run from its configuration to its models: the search asks, the workers train, the study records."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

from expand.config import Config
from expand.data.base import SPLITS, Source
from expand.data.cache import Cached, CacheNeeds, OnProgress, cache_needs, open_cache
from expand.data.cache import Progress as CacheProgress
from expand.data.doctor import Report, examine
from expand.data.sources import open_source, segments_of
from expand.errors import RunFailed, UserError
from expand.forecast import Clock, Speed, furthest_clips
from expand.jobs import Job, Measurement, Place, Result, close_attempts, read_result, write_job
from expand.logs import log_to
from expand.models import write_model
from expand.search import Candidate, Space, State, Trajectory, check_targets, macs_of
from expand.setup import DataCard, Replay, RoundJobs, Setup, scored
from expand.spaces import choose_axes, load_space
from expand.study import Run
from expand.training.events import check_tensorboard
from expand.workers import Workers, open_workers
from search_spaces.base import Axis, ClipSampling

log = logging.getLogger(__name__)

_MOST_WORKERS = 6  # a round has about six candidates
_MOST_ON_GPU = 4  # enough that one computes while others read their clips
# What a worker on a GPU should have. X3D-M with 16 clips takes about 8.4 GB, by the count of what is kept for
# the gradients: three bfloat16 numbers for each of its activations (convolution, norm, activation).
_GPU_BYTES = 10e9
_ALLOCATED = 0.9  # share of a GPU's memory for the workers' tensors; CUDA itself takes some for each worker


class View(Protocol):
    """What is shown while a run goes on; every method returns at once."""

    def caching(self, progress: CacheProgress) -> None:
        """The videos are being decoded."""
        ...

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None:
        """The search starts or goes on."""
        ...

    def round(self, jobs: RoundJobs, results: Mapping[str, Result]) -> None:
        """A round starts, of which `results` are there already."""
        ...

    def finished(self, job: Job, result: Result) -> None:
        """A training ended."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the `run` section of a config means on this machine."""

    workers: int
    threads: int
    device: str

    @property
    def memory_share(self) -> float:
        """How much of a CUDA device's memory each worker may take."""
        return 1.0 if self.workers == 1 else _ALLOCATED / self.workers

    @classmethod
    def of(cls, config: Config) -> Machine:
        """Where nothing is said: a worker a core, at most six, and the cores shared out.

        On a CUDA device at most four, and each has 10 GB; one on MPS.
        """
        from expand.training.devices import choose_device

        options = config.run
        device = choose_device(options.device)
        workers = options.workers or _usual_workers(device)
        return cls(workers=workers, threads=options.threads or max(1, cores() // workers), device=device)


def _usual_workers(device: str) -> int:
    from expand.training.memory import device_bytes

    if device == "cuda":
        return max(1, min(cores(), _MOST_ON_GPU, int(device_bytes() / _GPU_BYTES)))
    return min(cores(), _MOST_WORKERS) if device == "cpu" else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A search that could be made: checked and counted; nothing is decoded or written yet.

    Attributes:
        setup: with the videos as they are listed; which of them are bad is not known yet.
    """

    setup: Setup
    source: Source
    needs: CacheNeeds
    machine: Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A search whose videos are decoded."""

    setup: Setup
    machine: Machine
    cached: Cached


def plan(config: Config) -> Plan:
    """Check a configuration and look at the data's lists.

    Raises:
        UserError: the configuration or the data does not allow a search.
    """
    if config.run.tensorboard:
        check_tensorboard()
    space = load_space(config.space.name, config.space.settings)
    axes = choose_axes(space, config.search.axes)
    check_targets(space, config.search.targets, num_classes=2)  # before the data is looked at
    source = open_source(config.data)
    if segments_of(source) is not None:
        raise UserError(
            f"a search must have one label a video, but the videos of {source.name} have several: search on "
            "data with one, then train what was found on these with `xpand train`."
        )
    check_targets(space, config.search.targets, len(source.classes))
    needs = cache_needs(config.data, possible_clips(config, space, axes, config.search.targets))
    labels = ([item.label for item in source.splits[split]] for split in SPLITS)
    card = _card(source, needs, *labels, checksum="")
    return Plan(
        setup=Setup(config=config, space=space, axes=axes, data=card),
        source=source,
        needs=needs,
        machine=Machine.of(config),
    )


def possible_clips(
    config: Config, space: Space, axes: Mapping[str, Axis[Any]], targets: Sequence[int]
) -> tuple[ClipSampling, ...]:
    """The most that a search may ask of a video: a step over the last target is the furthest it goes."""
    return furthest_clips(space, axes, config.search.step * max(targets), num_classes=2)


def examine_data(config: Config, on_progress: OnProgress) -> Report:
    """Look at the data of a search, and at what its clips need; without a target, at two steps' clips.

    Raises:
        UserError: the data cannot be listed at all.
    """
    space = load_space(config.space.name, config.space.settings)
    axes = choose_axes(space, config.search.axes)
    targets = config.search.targets or (round(config.search.step**2 * macs_of(space, space.start, 2)),)
    clips = possible_clips(config, space, axes, targets)
    needs = cache_needs(config.data, clips)
    return examine(config.data, needs, cores(), clips=clips, on_progress=on_progress)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode(planned: Plan, view: View) -> Prepared:
    """Decode the videos, once for all runs with the same needs.

    Raises:
        UserError: too many videos are bad.
    """
    source, machine, config = planned.source, planned.machine, planned.setup.config
    cached = open_cache(
        source,
        planned.needs,
        config.data,
        processes=machine.workers * machine.threads,
        on_progress=view.caching,
    )
    labels = (split.labels.tolist() for split in (cached.train, cached.val))
    card = _card(source, planned.needs, *labels, checksum=cached.checksum)
    return Prepared(setup=replace(planned.setup, data=card), machine=machine, cached=cached)


def check_same_data(run: Run, prepared: Prepared) -> None:
    """Raises UserError where the videos are no longer those that the run was started with."""
    if prepared.setup.data != run.data:
        raise UserError(
            f"the data must be as the run was started, {_describe(run.data)}, but it is "
            f"{_describe(prepared.setup.data)}: put the videos back, or start another run."
        )


def _card(
    source: Source, needs: CacheNeeds, train: Sequence[int], val: Sequence[int], *, checksum: str
) -> DataCard:
    """What is known of data whose splits have these labels."""
    return DataCard(
        name=source.name,
        checksum=checksum,
        classes=source.classes,
        train=len(train),
        val=len(val),
        val_counts=tuple(val.count(label) for label in range(len(source.classes))),
        short_side=needs.short_side,
        fps=needs.fps,
    )


def drive(run: Run, prepared: Prepared, speed: Speed, view: View) -> Trajectory:
    """Run the search to its end, from wherever it is. The caller holds the run's lock.

    Raises:
        RunFailed: the search cannot go on.
    """
    setup, machine = prepared.setup, prepared.machine
    with ExitStack() as stack:
        stack.enter_context(log_to(run.folder / "log.txt"))
        workers = stack.enter_context(open_workers(machine.workers))
        _sweep(run)
        run.note_start()
        clock = Clock(setup, speed, machine.workers)
        log.info("%d workers with %d threads on %s", machine.workers, machine.threads, machine.device)
        results = run.results()
        view.begin(run, setup, clock)
        try:
            replay = Replay(setup)
            while replay.current is not None:
                _accept(run, setup, replay.current.round.base, replay, results)
                view.round(replay.current, results)
                for job, result in _train(run, prepared, replay.current, results, workers):
                    results[job.key] = result
                    if isinstance(result, Measurement):
                        clock.learn(result.macs, result.seconds)
                    view.finished(job, result)
                replay.send(results)
        except RunFailed as error:
            log.error("%s", error)
            raise
        assert replay.trajectory is not None, "a search that is over has a trajectory"
        _write_models(run, setup, replay, results)
        _drop_weights(run)
        log.info("finished")
        return replay.trajectory


def _train(
    run: Run, prepared: Prepared, jobs: RoundJobs, results: Mapping[str, Result], workers: Workers
) -> Iterator[tuple[Job, Result]]:
    """Train what a round still lacks, the dearest first; record each result as it comes."""
    config = prepared.setup.config
    place = Place(
        cache=str(prepared.cached.folder),
        device=prepared.machine.device,
        threads=prepared.machine.threads,
        keep_weights=config.run.keep_weights or config.training.init == "parent",
        memory_share=prepared.machine.memory_share,
    )
    events = run.folder / "tensorboard" / f"round-{jobs.round.number}" if config.run.tensorboard else None
    missing = {run.job_folder(job): (candidate, job) for candidate, job in jobs.missing(results)}
    by_cost = sorted(missing, key=lambda folder: -missing[folder][0].macs)
    waiting = []
    for folder in by_cost:
        if read_result(folder) is None:
            candidate, job = missing[folder]
            curves = str(events / f"{candidate.name}-seed-{job.seed}") if events is not None else None
            write_job(folder, job, replace(place, events=curves))
            waiting.append(folder)
    done = [folder for folder in by_cost if folder not in waiting]  # finished just before a crash
    for folder in chain(done, workers.run(waiting)):
        candidate, job = missing[folder]
        result = read_result(folder)
        assert result is not None, "workers yield a folder when its result is there"
        params = prepared.setup.space.point_to_json(candidate.point)
        run.record(job, candidate, jobs.round.number, params, result, close_attempts(folder))
        log.info("round %d, %s, seed %d: %s", jobs.round.number, candidate.name, job.seed, _brief(result))
        yield job, result


def _accept(
    run: Run, setup: Setup, state: State | None, replay: Replay, results: Mapping[str, Result]
) -> None:
    """Write the model of an accepted state."""
    if state is not None:
        log.info("accepted %s: top-1 %.4f, %s MACs", state.name, state.top1, f"{state.candidate.macs:,}")
        _write(run, setup, state.name, state.candidate, replay, results, step=state.step)


def _write_models(run: Run, setup: Setup, replay: Replay, results: Mapping[str, Result]) -> None:
    """Write the models of all states and of each target that was measured."""
    assert replay.trajectory is not None
    for state in replay.trajectory.states:
        _write(run, setup, state.name, state.candidate, replay, results, step=state.step)
    for found in replay.trajectory.targets:
        _write(
            run,
            setup,
            found.name,
            found.candidate,
            replay,
            results,
            step=found.state.step,
            target=found.target,
        )


def _write(
    run: Run,
    setup: Setup,
    name: str,
    candidate: Candidate,
    replay: Replay,
    results: Mapping[str, Result],
    *,
    step: int,
    target: int | None = None,
) -> None:
    jobs = replay.jobs[candidate]
    measurements = scored([results[job.key] for job in jobs])
    if len(measurements) == len(jobs):
        weights = run.job_folder(jobs[0]) / "weights.safetensors" if setup.config.run.keep_weights else None
        write_model(
            run.folder / "models",
            name,
            setup,
            candidate,
            measurements,
            step=step,
            target=target,
            weights=weights,
        )


def _drop_weights(run: Run) -> None:
    """The weights of a finished run are those beside its models; the others have no reader any more."""
    for path in (run.folder / "checkpoints").glob("*/weights.safetensors"):
        path.unlink()


def _sweep(run: Run) -> None:
    """Take away what a killed driver or worker was about to put in place."""
    for pattern in (".*.partial", "models/.*.partial", "checkpoints/*/.*.partial"):
        for path in run.folder.glob(pattern):
            path.unlink()


def _brief(result: Result) -> str:
    if isinstance(result, Measurement):
        return f"top-1 {result.top1:.4f} in {result.seconds:.1f} s"
    return f"failed: {result.reason}"


def _describe(data: DataCard) -> str:
    return (
        f"{data.name} with {data.train:,} + {data.val:,} videos of {len(data.classes)} classes "
        f"and checksum {data.checksum[:12]}"
    )
