"""Runs that nobody trained: the folder and the study that a search leaves, with made-up scores."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from expand.config.search import Config
from expand.jobs.job import Attempt, Failure, Job, Result
from expand.run.found_models import write_models
from expand.run.study import Run
from expand.search.base import Candidate
from expand.search.replay import Replay
from expand.search.setup import DataCard, Setup
from tests.expand.runs import CARD
from tests.expand.search.test_replay import measurement

START = 1.7e9
Score = Callable[[int, Candidate, Job], Result]


def x3d_config(**changes: Any) -> Config:
    """A search of the X3D space from 32 pixels, from scratch; `changes` are sections."""
    values: dict[str, Any] = {
        "space": {"name": "x3d", "settings": {"size": 32}},
        "search": {"targets": ["6M"]},
        "data": {"format": "synthetic"},
        "training": {"epochs": 8, "init": "scratch"},
    }
    for section, settings in changes.items():
        values[section] = {**values[section], **settings}
    return Config.model_validate(values)


def better_with_cost(round_number: int, candidate: Candidate, job: Job) -> Result:
    """A score that grows with the cost, by axis and seed."""
    gain = {"temporal": 0.09, "fast": 0.07, "spatial": 0.05, "bottleneck": 0.04, "width": 0.03}
    grown = 0.1 * math.log2(candidate.macs / 1e6) + gain.get(candidate.axis or "", 0.0)
    noise = random.Random(f"{job.key}").uniform(-0.03, 0.03)
    top1 = min(0.97, max(0.05, 0.15 + grown + noise))
    return measurement(top1, macs=candidate.macs, seconds=10.0, latency=candidate.macs / 1e9)


def made_up_run(
    folder: Path,
    config: Config | None = None,
    *,
    score: Score = better_with_cost,
    card: DataCard = CARD,
    rounds: int | None = None,
    results_in_last: int | None = None,
    workers: int = 2,
    pauses: Mapping[int, float] | None = None,
    cut: frozenset[int] = frozenset(),
) -> Run:
    """A run folder as a search leaves it.

    Args:
        folder: of the run; must be free.
        config: of the run; None: `x3d_config()`.
        score: what each training gives.
        card: the data.
        rounds: stop before the round of this number; None: at the end.
        results_in_last: of the last round, record only so many.
        workers: that the trainings seem to be done by.
        pauses: seconds that pass before a round, as after a driver was killed.
        cut: numbers of trainings before which an attempt was cut off.
    """
    config = config or x3d_config()
    run, setup = Run.create(folder, config, card), Setup.of(config, card)
    replay, results = Replay(setup), dict[str, Result]()
    busy, count, starts = [START] * workers, 0, [START]
    while replay.current is not None:
        number = replay.current.round.number
        last = rounds is not None and number + 1 == rounds
        if pauses and number in pauses:
            busy = [max(busy) + pauses[number]] * workers
            starts.append(busy[0])
        missing = replay.current.missing(results)
        for candidate, job in missing[: results_in_last if last else None]:
            results[job.key] = result = score(number, candidate, job)
            worker = busy.index(min(busy))
            attempts, took = [], getattr(result, "seconds", 5.0)
            if count in cut:
                attempts.append(Attempt(host="here", process=worker, started=busy[worker], seconds=took / 3))
                busy[worker] += took / 3 + 1
            done = Attempt(host="here", process=worker, started=busy[worker], seconds=took)
            busy[worker] += took + 0.2
            params = setup.space.point_to_json(candidate.point)
            run.record(job, candidate, number, params, result, (*attempts, done))
            count += 1
        busy = [max(busy)] * workers
        if last:
            break
        replay.send(results)
    run.study.set_user_attr("starts", starts)
    write_models(run, setup, replay, results, {})
    return run


def failing(axis: str, reason: str) -> Score:
    """Scores as usual, but one axis fails."""

    def score(round_number: int, candidate: Candidate, job: Job) -> Result:
        if candidate.axis == axis:
            return Failure(reason=reason, traceback="Traceback …")
        return better_with_cost(round_number, candidate, job)

    return score


def without(card: DataCard, name: str) -> DataCard:
    """The data, but no validation video shows this class."""
    counts = tuple(
        0 if each == name else count for each, count in zip(card.classes, card.val_counts, strict=True)
    )
    return replace(card, val_counts=counts, val=sum(counts))
