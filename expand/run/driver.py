"""Drives a search: trains each round's candidates by workers, records the results, and writes the models."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from expand.data.cache import StageProgress
from expand.data.labelled import write_segments
from expand.jobs.folder import WEIGHTS, close_attempts, read_result, write_job, write_result
from expand.jobs.job import Failure, Job, Measurement, Place, Result
from expand.run.parents import lost_parents, train_again
from expand.run.preparation import Prepared
from expand.run.start import put_in_place
from expand.run.study import Run
from expand.search.base import Candidate, Round, State, Trajectory
from expand.search.forecast import Clock, Speed
from expand.search.replay import Replay, RoundJobs, scored, worth_keeping
from expand.search.setup import Setup
from expand.system.errors import RunFailed
from expand.system.logs import log_to
from expand.training.objectives import load_objective
from expand.weights.models import write_model
from expand.workers import TRAINER, Ended, Task, Workers

log = logging.getLogger(__name__)

SLACK = 60.0  # seconds added to the time limit of a training, for starting a process and importing libraries


class SearchDisplay(Protocol):
    """Shows the progress of a search. No method may block, since the driver waits for it."""

    def caching(self, progress: StageProgress) -> None:
        """Show the progress of decoding the videos."""
        ...

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None:
        """Show that the search starts or is resumed."""
        ...

    def restoring(self, names: str) -> None:
        """Show that networks are trained again whose weights are gone."""
        ...

    def round(self, jobs: RoundJobs, results: Mapping[str, Result]) -> None:
        """Show that a round starts; `results` has the results known before, by the jobs' keys."""
        ...

    def finished(self, job: Job, result: Result) -> None:
        """Show that a training has ended."""
        ...


def drive(
    run: Run, prepared: Prepared, speed: Speed, view: SearchDisplay, *, trainer: str = TRAINER
) -> Trajectory:
    """Run a search to its end, and return its trajectory. Trainings that have a result are not repeated.

    Args:
        run: the run folder, whose lock the caller must hold.
        prepared: the search, with its decoded videos.
        speed: the workers' speed, for time limits and the time left.
        view: shows the progress.
        trainer: the function that does a job, as `module:function`; its argument is the job's folder.

    Raises:
        RunFailed: the search cannot go on, such as when all workers are lost or the disk is full.
    """
    setup, machine = prepared.setup, prepared.machine
    with ExitStack() as stack:
        stack.enter_context(log_to(run.log_file))
        workers = stack.enter_context(machine.open([run.folder, prepared.cached.folder], trainer))
        run.sweep()
        if prepared.segments is not None:
            write_segments(run.segments_file, prepared.segments)
        run.note_start(workers=machine.workers, described=machine.described, **asdict(speed))

        clock = Clock(setup, speed, machine.workers)
        log.info("%s; threads of each: %d", machine.described, machine.threads)
        results = run.results()
        view.begin(run, setup, clock)
        try:
            replay = Replay(setup)
            accepted: tuple[State, ...] = ()
            while replay.current is not None:
                if replay.current.round.states != accepted:  # stages of a race accept nothing
                    accepted = replay.current.round.states
                    _write_accepted(run, setup, accepted[-1:], replay, results)
                _restore_parents(run, prepared, replay, results, workers, clock, view)
                view.round(replay.current, results)
                for job, result in train_round(run, prepared, replay.current, results, workers, clock):
                    results[job.key] = result
                    if isinstance(result, Measurement):
                        clock.learn(result)
                    view.finished(job, result)
                replay.send(results)
        except RunFailed as error:
            log.error("%s", error)
            raise
        assert replay.trajectory is not None, "a search that is over has a trajectory"
        write_models(run, setup, replay, results)
        run.drop_leftovers()
        log.info("finished")
        return replay.trajectory


def _restore_parents(
    run: Run,
    prepared: Prepared,
    replay: Replay,
    results: Mapping[str, Result],
    workers: Workers,
    clock: Clock,
    view: SearchDisplay,
) -> None:
    """Train networks again that candidates of the current round grow from, and whose weights are gone.

    The weights that the search itself starts from are copied again.
    """
    assert replay.current is not None, "the search goes on"
    made = {job.key: (candidate, job) for candidate, jobs in replay.jobs.items() for job in jobs}
    wanted = [job for _, job in replay.current.missing(results)]
    generations = lost_parents(run, wanted, {key: job for key, (_, job) in made.items()})
    given, start = prepared.setup.given, prepared.setup.problem.start
    if given is not None and any(job.parent == given.key for job in chain(wanted, *generations)):
        put_in_place(run, prepared.setup, given, _place(run, prepared, replay.current.round, start, given))
    for generation in generations:
        names = ", ".join(f"{made[job.key][0].name} (seed {job.seed})" for job in generation)
        log.info("the weights are gone, training again: %s", names)
        view.restoring(names)
        again = []
        for job in generation:
            candidate = made[job.key][0]
            place = replace(_place(run, prepared, replay.current.round, candidate, job), events=None)
            again.append((job, place, _time_limit(prepared, clock.seconds(candidate.macs, job))))
        train_again(run, again, workers)


def train_round(
    run: Run,
    prepared: Prepared,
    jobs: RoundJobs,
    results: Mapping[str, Result],
    workers: Workers,
    clock: Clock,
) -> Iterator[tuple[Job, Result]]:
    """Do the jobs of a round that have no result, the most expensive first; record and yield each result.

    Args:
        run: the run folder, whose study gets the results.
        prepared: the search, with its decoded videos.
        jobs: the jobs of the round.
        results: the results known before, by the jobs' keys; the caller may add to it meanwhile.
        workers: do the jobs.
        clock: forecasts the seconds of a training, for its time limit.

    Raises:
        RunFailed: all workers were lost, and no job of the round has a result.
    """
    answered = any(job.key in results for job in jobs.jobs)
    missing = {run.job_folder(job): (candidate, job) for candidate, job in jobs.missing(results)}
    by_cost = sorted(missing, key=lambda folder: -missing[folder][0].macs)
    done, tasks = [], []
    for folder in by_cost:
        candidate, job = missing[folder]
        if read_result(folder) is not None:
            done.append(Ended(folder))  # the driver died before it recorded the result
            continue
        write_job(folder, job, _place(run, prepared, jobs.round, candidate, job))
        tasks.append(Task(folder, _time_limit(prepared, clock.seconds(candidate.macs, job))))

    def record(folder: Path) -> tuple[Job, Result]:
        candidate, job = missing[folder]
        result = read_result(folder)
        assert result is not None, "a job that has ended has a result, unless its worker was lost"
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
        # The machine may be at fault, not the candidates: without a result, they are tried again on resume.
        raise RunFailed(f"all workers were lost: {lost[0].lost}; check the machine and resume.")
    for ended in lost:
        assert ended.lost is not None
        write_result(ended.folder, Failure(reason=ended.lost))
        yield record(ended.folder)


def _place(run: Run, prepared: Prepared, round_: Round, candidate: Candidate, job: Job) -> Place:
    config, machine = prepared.setup.config, prepared.machine
    curves = None
    if config.run.tensorboard:
        curves = run.curves_folder(round_.number, candidate.name, job.seed)
    return Place(
        cache=str(prepared.cached.folder.absolute()),
        device=machine.device,
        threads=machine.threads,
        keep_weights=config.run.keep_weights or prepared.setup.problem.grown,
        memory_share=machine.memory_share,
        memory=machine.memory,
        events=None if curves is None else str(curves.absolute()),
        segments=None if prepared.segments is None else str(run.segments_file.absolute()),
    )


def _time_limit(prepared: Prepared, expected: float) -> float | None:
    """Return the time limit of an attempt in seconds, given its expected seconds; None for no limit."""
    times = prepared.setup.config.run.time_limit
    return None if times is None else times * expected + SLACK


def _write_accepted(
    run: Run, setup: Setup, last: Sequence[State], replay: Replay, results: Mapping[str, Result]
) -> None:
    """Log the last accepted state and write its model; `last` has that state, or is empty at the start."""
    for state in last:
        log.info("accepted %s: score %.4f, %s MACs", state.name, state.score, f"{state.candidate.macs:,}")
        _write_model(run, setup, state.name, state.candidate, replay, results, step=state.step)


def write_models(run: Run, setup: Setup, replay: Replay, results: Mapping[str, Result]) -> None:
    """Write a model file for each accepted state, and for each target whose network has all its results."""
    for state in replay.states:
        _write_model(run, setup, state.name, state.candidate, replay, results, step=state.step)
    for found in replay.trajectory.targets if replay.trajectory is not None else ():
        _write_model(
            run,
            setup,
            found.name,
            found.candidate,
            replay,
            results,
            step=None if found.state is None else found.state.step,
            target=found.target,
        )


def _write_model(
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
        best = worth_keeping(jobs, results)[0]
        weights = run.job_folder(best) / WEIGHTS if setup.config.run.keep_weights else None
        write_model(
            run.models_folder,
            name,
            setup,
            candidate,
            measurements,
            step=step,
            target=target,
            weights=weights,
        )


def _brief(result: Result, words: str) -> str:
    if isinstance(result, Measurement):
        return f"{words} {result.score:.4f} in {result.seconds:.1f} s"
    return f"failed: {result.reason}"
