"""A run from its configuration to its models: the search asks, the workers train, the study records."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from expand.config.search import Config
from expand.data.base import SEARCHED, Source
from expand.data.cache import OnProgress, StageProgress, open_cache
from expand.data.cache_needs import CacheNeeds, cache_needs
from expand.data.cache_reader import Cached
from expand.data.doctor import Report, examine
from expand.data.labelled import Segments, check_recipe, write_segments
from expand.data.sources import open_source, segments_of, shown_labels
from expand.jobs.folder import close_attempts, read_result, write_job, write_result
from expand.jobs.job import Failure, Job, Measurement, Place, Result
from expand.run.resources import Machine
from expand.run.study import Run
from expand.search.base import Candidate, Round, State, Trajectory
from expand.search.forecast import Clock, Speed, furthest_clips
from expand.search.replay import Replay, RoundJobs, scored
from expand.search.setup import DataCard, Setup, problem_of
from expand.system.cores import cores
from expand.system.errors import RunFailed, UserError
from expand.system.logs import log_to
from expand.training.events import check_tensorboard
from expand.training.objectives import check_labels, load_objective
from expand.weights.models import write_model
from expand.workers import TRAINER, Ended, Task, Workers
from search_spaces.base import ClipSampling

log = logging.getLogger(__name__)

_SLACK = 60.0  # seconds that a candidate may take besides: a process starts, libraries are read


class SearchDisplay(Protocol):
    """What is shown while a run goes on; every method returns at once."""

    def caching(self, progress: StageProgress) -> None:
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
class SearchPlan:
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
    """A search whose videos are decoded.

    Attributes:
        segments: what each video shows, by its key; None: every video has one label.
    """

    setup: Setup
    machine: Machine
    cached: Cached
    segments: Segments | None = None


def plan(config: Config) -> SearchPlan:
    """Check a configuration and look at the data's lists.

    Raises:
        UserError: the configuration or the data does not allow a search.
    """
    if config.run.tensorboard:
        check_tensorboard()
    problem_of(config).check_targets()  # before the data is looked at
    load_objective(config.search.objective)
    source = open_source(config.data)
    _check_labels(config, source)
    problem_of(config, len(source.classes)).check_targets()
    needs = cache_needs(config.data, possible_clips(config))
    train, val = (source.splits[split] for split in SEARCHED)
    shown = [shown_labels(source, item) for item in val]
    card = _card(source, needs, len(train), shown, checksum="")
    return SearchPlan(
        setup=Setup.of(config, card),
        source=source,
        needs=needs,
        machine=Machine.of(config),
    )


def _check_labels(config: Config, source: Source) -> None:
    """Raises UserError where the search is not for videos with so many labels."""
    segments = segments_of(source)
    check_labels(config.search.objective, source.name, "one" if segments is None else "several")
    if segments is None:
        return
    check_recipe(config.training)
    if not any(segments[item.key] for item in source.splits["val"]):
        raise UserError(
            f"the videos to decide by must have labels, but of {source.name} none has any: name others "
            "(data.val), or leave them out and a share of training is set aside."
        )


def possible_clips(config: Config) -> tuple[ClipSampling, ...]:
    """The most that a search may ask of a video: a step over the last target is the furthest it goes.

    Without a target, the most of two steps.
    """
    problem, step = problem_of(config), config.search.step
    return furthest_clips(problem, step * max(problem.targets or (round(step**2 * problem.start.cost),)))


def examine_data(config: Config, on_progress: OnProgress, *, quick: bool = False) -> Report:
    """Look at the data of a search, and at what its clips need; without a target, at two steps' clips.

    Quick: at the lists alone.

    Raises:
        UserError: the data cannot be listed at all.
    """
    clips = possible_clips(config)
    needs = cache_needs(config.data, clips)
    return examine(config.data, needs, cores(), clips=clips, quick=quick, on_progress=on_progress)


def decode(planned: SearchPlan, view: SearchDisplay, wanted: DataCard | None = None) -> Prepared:
    """Decode the videos, once for all runs with the same needs.

    Args:
        planned: the search.
        view: is told how far it is.
        wanted: the data of a run that goes on; None: any.

    Raises:
        UserError: too many videos are bad, or they are no longer those that the run was started with.
        RunFailed: the disk is full, or a video was changed meanwhile.
    """
    source, machine, config = planned.source, planned.machine, planned.setup.config
    cached = open_cache(
        source,
        planned.needs,
        config.data,
        processes=machine.decoders,
        on_progress=view.caching,
        wanted=None if wanted is None else wanted.checksum,
    )
    segments, val = segments_of(source), cached.val
    if segments is None:
        shown: list[frozenset[int]] = [frozenset([label]) for label in val.labels.tolist()]
    else:
        shown = [frozenset(one.label for one in segments[key]) for key in val.keys]
    card = _card(source, planned.needs, len(cached.train), shown, checksum=cached.checksum)
    if wanted is not None:  # what the folder is called now decides nothing
        card = replace(card, name=wanted.name)
    if wanted is not None and card != wanted:  # such as another number of bad videos, by another FFmpeg
        raise UserError(
            f"the data must be as the run was started, {_describe(wanted)}, but it is {_describe(card)}: put "
            "the videos back, or start another run."
        )
    setup = replace(planned.setup, data=card)
    return Prepared(setup=setup, machine=machine, cached=cached, segments=segments)


def _card(
    source: Source, needs: CacheNeeds, train: int, val: Sequence[frozenset[int]], *, checksum: str
) -> DataCard:
    """What is known of data with so many videos to train on, and with others that show these classes."""
    counts = Counter(chain.from_iterable(val))
    return DataCard(
        name=source.name,
        checksum=checksum,
        classes=source.classes,
        train=train,
        val=len(val),
        val_counts=tuple(counts[label] for label in range(len(source.classes))),
        short_side=needs.short_side,
        fps=needs.fps,
        labels="one" if segments_of(source) is None else "several",
        unlabelled=sum(not shown for shown in val),
    )


def drive(
    run: Run, prepared: Prepared, speed: Speed, view: SearchDisplay, *, trainer: str = TRAINER
) -> Trajectory:
    """Run the search to its end, from wherever it is. The caller holds the run's lock.

    Args:
        run: with what was measured so far.
        prepared: the search, with its videos.
        speed: of the workers.
        view: is told what happens.
        trainer: what does a job, as `module:function` of its folder.

    Raises:
        RunFailed: the search cannot go on.
    """
    setup, machine = prepared.setup, prepared.machine
    with ExitStack() as stack:
        stack.enter_context(log_to(run.folder / "log.txt"))
        workers = stack.enter_context(machine.open([run.folder, prepared.cached.folder], trainer))
        _sweep(run)
        if prepared.segments is not None:
            write_segments(_segments_file(run), prepared.segments)
        run.note_start(workers=machine.workers, described=machine.described, **asdict(speed))

        clock = Clock(setup, speed, machine.workers)
        log.info("%s; threads of each: %d", machine.described, machine.threads)
        results = run.results()
        view.begin(run, setup, clock)
        try:
            replay = Replay(setup)
            while replay.current is not None:
                _accept(run, setup, replay.current.round.states[-1:], replay, results)
                view.round(replay.current, results)
                for job, result in train_round(run, prepared, replay.current, results, workers, clock):
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
        _drop_leftovers(run)
        log.info("finished")
        return replay.trajectory


def train_round(
    run: Run,
    prepared: Prepared,
    jobs: RoundJobs,
    results: Mapping[str, Result],
    workers: Workers,
    clock: Clock,
) -> Iterator[tuple[Job, Result]]:
    """Train what a round still lacks, the dearest first; record each result and yield it as it comes.

    Args:
        run: is told the results.
        prepared: the search, with its videos.
        jobs: of the round.
        results: what was measured before; what the caller adds meanwhile makes no difference.
        workers: that train.
        clock: how long a training may take.

    Raises:
        RunFailed: all workers were lost, and nothing of the round has a result.
    """
    answered = any(job.key in results for job in jobs.jobs)
    missing = {run.job_folder(job): (candidate, job) for candidate, job in jobs.missing(results)}
    by_cost = sorted(missing, key=lambda folder: -missing[folder][0].macs)
    done, tasks = [], []
    for folder in by_cost:
        candidate, job = missing[folder]
        if read_result(folder) is not None:
            done.append(Ended(folder))  # just before a crash
            continue
        write_job(folder, job, _place(run, prepared, jobs.round, candidate, job))
        tasks.append(Task(folder, _limit(prepared, clock.seconds(candidate.macs))))

    def record(folder: Path) -> tuple[Job, Result]:
        candidate, job = missing[folder]
        result = read_result(folder)
        assert result is not None, "a job that is not lost has a result when it has ended"
        params = prepared.setup.space.point_to_json(candidate.point)
        run.record(job, candidate, jobs.round.number, params, result, close_attempts(folder))
        words = _brief(result, load_objective(job.objective).words)
        log.info("round %d, %s, seed %d: %s", jobs.round.number, candidate.name, job.seed, words)
        return job, result

    lost: list[Ended] = []
    for ended in chain(done, workers.run(tasks)):
        if ended.lost is not None:
            lost.append(ended)
        else:
            answered = True
            yield record(ended.folder)
    if lost and not answered:
        # Nothing says that it was the candidates' fault: nothing is recorded, so that they are tried again.
        raise RunFailed(f"all workers were lost: {lost[0].lost}; see to the machine and resume.")
    for ended in lost:
        assert ended.lost is not None
        write_result(ended.folder, Failure(reason=ended.lost))
        yield record(ended.folder)


def _place(run: Run, prepared: Prepared, round_: Round, candidate: Candidate, job: Job) -> Place:
    config, machine = prepared.setup.config, prepared.machine
    curves = None
    if config.run.tensorboard:
        curves = run.folder / "tensorboard" / f"round-{round_.number}" / f"{candidate.name}-seed-{job.seed}"
    return Place(
        cache=str(prepared.cached.folder.absolute()),
        device=machine.device,
        threads=machine.threads,
        keep_weights=config.run.keep_weights or config.training.init == "parent",
        memory_share=machine.memory_share,
        memory=machine.memory,
        events=None if curves is None else str(curves.absolute()),
        segments=None if prepared.segments is None else str(_segments_file(run).absolute()),
    )


def _segments_file(run: Run) -> Path:
    """What the videos show, for the workers, where they have several labels."""
    return run.folder / "segments.json"


def _limit(prepared: Prepared, expected: float) -> float | None:
    """How long an attempt may take before it counts as one that hangs."""
    times = prepared.setup.config.run.time_limit
    return None if times is None else times * expected + _SLACK


def _accept(
    run: Run, setup: Setup, last: Sequence[State], replay: Replay, results: Mapping[str, Result]
) -> None:
    """Write the model of the state that was accepted last, if there is one."""
    for state in last:
        log.info("accepted %s: score %.4f, %s MACs", state.name, state.score, f"{state.candidate.macs:,}")
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
            step=None if found.state is None else found.state.step,
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
    step: int | None,
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


def _drop_leftovers(run: Run) -> None:
    """What nobody reads any more when a run is finished: its weights are those beside its models."""
    for path in (run.folder / "checkpoints").glob("*/weights.safetensors"):
        path.unlink()
    for path in (run.folder / "checkpoints").glob("*/epochs"):  # of what failed
        shutil.rmtree(path)


def _sweep(run: Run) -> None:
    """Take away what a killed driver or worker was about to put in place."""
    for pattern in (".*.partial", "models/.*.partial", "checkpoints/*/.*.partial"):
        for path in run.folder.glob(pattern):
            path.unlink()


def _brief(result: Result, words: str) -> str:
    if isinstance(result, Measurement):
        return f"{words} {result.score:.4f} in {result.seconds:.1f} s"
    return f"failed: {result.reason}"


def _describe(data: DataCard) -> str:
    return (
        f"{data.name} with {data.train:,} + {data.val:,} videos of {len(data.classes)} classes "
        f"and checksum {data.checksum[:12]}"
    )
