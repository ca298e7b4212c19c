"""The models of what a search has found: their files, and the weights that a finished run keeps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from expand.jobs.folder import WEIGHTS
from expand.jobs.job import Job, Measurement, Result
from expand.run.study import Run
from expand.search.base import Candidate, State
from expand.search.replay import Replay, scored, worth_keeping
from expand.search.setup import Setup
from expand.weights.models import read_model, searched_values, write_model

log = logging.getLogger(__name__)


def write_accepted(
    run: Run, setup: Setup, last: Sequence[State], replay: Replay, results: Mapping[str, Result]
) -> None:
    """Log the last accepted state and write its model; `last` has that state, or is empty at the start."""
    for state in last:
        if run.extensions and _is_of_another(run, setup, state.name, state.candidate):
            run.set_aside(state.name)
        log.info("accepted %s: score %.4f, %s MACs", state.name, state.score, f"{state.candidate.macs:,}")
        _write_model(run, setup, state.name, state.candidate, replay, results, step=state.step)


def write_models(
    run: Run, setup: Setup, replay: Replay, results: Mapping[str, Result], timed: Mapping[str, int]
) -> None:
    """Write a model file for each accepted state, and for each target whose network has all its results.

    Args:
        run: whose models they are.
        setup: of the search.
        replay: its decisions.
        results: its trainings.
        timed: the nanoseconds of models by their names, as from `time_found`.
    """
    for state in replay.states:
        _write_model(
            run,
            setup,
            state.name,
            state.candidate,
            replay,
            results,
            step=state.step,
            timed=timed.get(state.name),
        )
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
            timed=timed.get(found.name),
        )


def time_found(setup: Setup, replay: Replay) -> dict[str, int]:
    """The nanoseconds that each model takes on the device of the search's profile; empty: not timed."""
    profile, found = setup.config.search.profile, _found(replay)
    if profile is None:
        return {}
    from expand.profiling.found import (
        time_networks,
    )  # imports torch, which other searches' drivers can do without

    architectures = [setup.space.architecture(candidate.point) for candidate in found.values()]
    times = time_networks(profile, setup.space, architectures, len(setup.data.classes))
    return {} if times is None else dict(zip(found, times, strict=True))


def kept_jobs(setup: Setup, replay: Replay, results: Mapping[str, Result]) -> dict[str, tuple[Job, ...]]:
    """Return for each model the jobs whose weights a finished run keeps, that of the model's weights first.

    An extension of the run may grow further networks from all trainings of an accepted state.
    """
    if not setup.config.run.keep_weights:
        return {}
    grown_from = {state.candidate for state in replay.states} if setup.problem.grown else set()
    kept = {}
    for name, candidate in _found(replay).items():
        jobs = replay.grown_from(candidate, results)
        kept[name] = jobs if candidate in grown_from else jobs[:1]
    return kept


def set_aside_former(run: Run, setup: Setup, replay: Replay) -> None:
    """Move models out of the way that an extended run does not come to any more."""
    if not run.extensions:
        return
    found = _found(replay)
    for name in run.models():
        if name not in found or _is_of_another(run, setup, name, found[name]):
            run.set_aside(name)


def _is_of_another(run: Run, setup: Setup, name: str, candidate: Candidate) -> bool:
    """Return whether there is a model of this name that is another network, or sees other clips."""
    path = run.models().get(name)
    if path is None:
        return False
    model, space = read_model(path), setup.space
    return (model.architecture, model.sampling) != (
        space.architecture(candidate.point),
        space.sampling(candidate.point),
    )


def _found(replay: Replay) -> dict[str, Candidate]:
    """Return the networks that the search has found so far, by the names of their models."""
    targets = replay.trajectory.targets if replay.trajectory is not None else ()
    return {state.name: state.candidate for state in replay.states} | {
        model.name: model.candidate for model in targets
    }


def _fresh(replay: Replay, candidate: Candidate, results: Mapping[str, Result]) -> tuple[Measurement, ...]:
    """Return the measurements of a network with seeds that had no part in choosing it."""
    again = {} if replay.trajectory is None else replay.trajectory.confirmed
    return scored([results[job.key] for job in replay.jobs[again[candidate]]]) if candidate in again else ()


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
    timed: int | None = None,
) -> None:
    jobs = replay.jobs[candidate]
    measurements = scored([results[job.key] for job in jobs])
    if len(measurements) == len(jobs):
        best = worth_keeping(jobs, results)[0]
        weights = run.job_folder(best) / WEIGHTS if setup.config.run.keep_weights else None
        values = searched_values(
            name,
            setup,
            candidate,
            measurements,
            fresh=_fresh(replay, candidate, results),
            step=step,
            target=target,
            timed=timed,
        )
        write_model(run.models_folder, values, weights)
