"""Drives a search: trains each round's candidates by workers, records the results, and writes the models."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from expand.data.labelled import write_segments
from expand.data.progress import StageProgress
from expand.jobs.folder import WEIGHTS, close_attempts, read_result, write_job, write_result
from expand.jobs.job import Failure, Job, Measurement, Place, Result
from expand.run.found_models import (
    kept_jobs,
    set_aside_former,
    time_found,
    write_accepted,
    write_models,
)
from expand.run.parents import lost_generations, train_again
from expand.run.preparation import Prepared
from expand.run.reuse import take_over
from expand.run.start import put_in_place
from expand.run.study import Run
from expand.search.base import Candidate, Round, State, Trajectory
from expand.search.forecast import Clock, Speed
from expand.search.replay import Replay, RoundJobs
from expand.search.setup import Setup
from expand.system.errors import RunFailed
from expand.system.logs import log_to
from expand.training.objectives import load_objective
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
        workers = stack.enter_context(
            machine.open([run.folder, *(one.folder for one in (*prepared.caches, *prepared.tests))], trainer)
        )
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
                    write_accepted(run, setup, accepted[-1:], replay, results)
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
        set_aside_former(run, setup, replay)
        kept = kept_jobs(setup, replay, results)
        _restore(run, prepared, replay, _without_weights(run, kept), workers, clock, view)
        timed = time_found(setup, replay)
        run.note_timed(timed)
        write_models(run, setup, replay, results, timed)
        run.note_written()
        given = [] if setup.given is None else [setup.given]
        run.drop_leftovers({job.key for jobs in (*kept.values(), given) for job in jobs})
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
    """Train networks again that candidates of the current round grow from, and whose weights are gone."""
    assert replay.current is not None, "the search goes on"
    made = {job.key: job for jobs in replay.jobs.values() for job in jobs}
    missing = [job for _, job in replay.current.missing(results)]
    parents = {job.parent: made[job.parent] for job in missing if job.parent in made}
    lost = [job for job in parents.values() if not (run.job_folder(job) / WEIGHTS).exists()]
    _restore(run, prepared, replay, lost, workers, clock, view)
    _put_start_in_place(run, prepared, replay, missing)


def _put_start_in_place(run: Run, prepared: Prepared, replay: Replay, jobs: Sequence[Job]) -> None:
    """Copy the weights that the search itself starts from, if any of the jobs grows from them."""
    setup, round_ = prepared.setup, replay.rounds[0].round
    if (given := setup.given) is not None and any(job.parent == given.key for job in jobs):
        put_in_place(run, setup, given, _place(run, prepared, round_, setup.problem.start, given))


def _without_weights(run: Run, kept: Mapping[str, Sequence[Job]]) -> list[Job]:
    """Return the jobs whose weights are to be kept and are gone, of models that have none either.

    That is so where a run has taken over what another one has measured, and where more seeds have made a
    candidate the winner whose weights were not kept.
    """
    return [
        jobs[0]
        for name, jobs in kept.items()
        if jobs
        and not (run.job_folder(jobs[0]) / WEIGHTS).exists()
        and not (run.models_folder / f"{name}.safetensors").exists()
    ]


def _restore(
    run: Run,
    prepared: Prepared,
    replay: Replay,
    wanted: Sequence[Job],
    workers: Workers,
    clock: Clock,
    view: SearchDisplay,
) -> None:
    """Train networks again whose weights are gone, and before them those that they grew from."""
    made = {job.key: (candidate, job) for candidate, jobs in replay.jobs.items() for job in jobs}
    rounds = {candidate: jobs.round for jobs in replay.rounds for candidate in jobs.round.candidates}
    for generation in lost_generations(run, wanted, {key: job for key, (_, job) in made.items()}):
        _put_start_in_place(run, prepared, replay, generation)
        names = ", ".join(f"{made[job.key][0].name} (seed {job.seed})" for job in generation)
        log.info("the weights are gone, training again: %s", names)
        view.restoring(names)
        again = []
        for job in generation:
            candidate = made[job.key][0]
            place = _place(run, prepared, rounds[candidate], candidate, job)
            place = replace(place, events=None, keep_weights=True)
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
    for folder, (_, job) in missing.items():
        if job.key in prepared.reusable and read_result(folder) is None:
            take_over(folder, prepared.reusable[job.key])
    by_cost = sorted(missing, key=lambda folder: -missing[folder][0].macs)
    done, tasks = [], []
    for folder in by_cost:
        candidate, job = missing[folder]
        write_job(
            folder, job, _place(run, prepared, jobs.round, candidate, job)
        )  # what grows from it reads it
        if read_result(folder) is not None:
            done.append(Ended(folder))  # of another run, or the driver died before it recorded the result
            continue
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
    clips = prepared.setup.space.sampling(candidate.point)
    curves = None
    if config.run.tensorboard:
        curves = run.curves_folder(round_.number, candidate.name, job.seed)
    return Place(
        cache=str(prepared.cached(clips).folder.absolute()),
        device=machine.device,
        threads=machine.threads,
        keep_weights=config.run.keep_weights or prepared.setup.problem.grown,
        memory_share=machine.memory_share,
        memory=machine.memory,
        events=None if curves is None else str(curves.absolute()),
        segments=None if prepared.segments is None else str(run.segments_file.absolute()),
        test_cache=None if job.test is None else str(prepared.tested(clips).folder.absolute()),
    )


def _time_limit(prepared: Prepared, expected: float) -> float | None:
    """Return the time limit of an attempt in seconds, given its expected seconds; None for no limit."""
    times = prepared.setup.config.run.time_limit
    return None if times is None else times * expected + SLACK


def _brief(result: Result, words: str) -> str:
    if isinstance(result, Measurement):
        return f"{words} {result.score:.4f} in {result.seconds:.1f} s"
    return f"failed: {result.reason}"
