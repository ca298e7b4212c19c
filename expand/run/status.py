"""Reads the state of a run from its folder, without the lock, so also while another process drives it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from expand.jobs.folder import read_progress
from expand.jobs.job import Measurement
from expand.run.frames import columns
from expand.run.record import Replayed, RunRecord, record_of, replayed, search_words, start_words
from expand.run.study import Run
from expand.search.forecast import Clock, Speed
from expand.system.escaping import visible_line
from expand.system.folders import Driver, read_driver
from expand.system.units import show_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class AtWork:
    """A worker and the training that it does.

    Attributes:
        worker: its process and host.
        round, candidate, seed: the training.
        attempt: the number of the attempt: 1, or more after a worker died.
        epoch: epochs done, by the worker's last report.
        epochs: epochs of the whole training.
        seconds: seconds since this attempt began.
    """

    worker: str
    round: int
    candidate: str
    seed: int
    attempt: int
    epoch: float
    epochs: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The state of a run.

    Attributes:
        record: its tables.
        driver: the process that drives it; None where there is none.
        at_work: the workers, with the training that each does.
        seconds_left: estimate of the whole search; None where the run is finished, or has no driver.
    """

    record: RunRecord
    driver: Driver | None
    at_work: tuple[AtWork, ...]
    seconds_left: float | None

    @property
    def repeated(self) -> int:
        """Number of attempts that were cut off, as the worker or the driver died."""
        return sum(row.state == "cut off" for row in self.record.attempts)

    def lines(self) -> str:
        """Return the state as lines for a terminal, to stand above the tables."""
        record = self.record
        measured = [row.measurement for row in record.trials if row.measurement is not None]
        done, failed = len(measured), len(record.trials) - len(measured)
        spent = show_seconds(sum(one.seconds for one in measured))
        cut = f", {self.repeated} attempt{'s' * (self.repeated != 1)} cut off" if self.repeated else ""
        lines = [
            f"run       {visible_line(str(record.folder))}",
            f"search    {search_words(record.setup)}",
            f"state     {record.state}",
            f"trainings {done} done, {failed} failed, {spent} in all{cut}",
        ]
        if words := start_words(record.setup):
            lines.insert(2, f"start     {words}")
        if record.stopped is not None:
            lines.append(f"stopped   {record.stopped}")
        if self.driver is not None:
            workers = self.driver.facts.get("described")
            lines.append(f"driver    {self.driver}" + (f"; {workers}" if workers else ""))
        elif not record.finished and record.problem is None:
            lines.append(f"driver    none: go on with `xpand resume {quote(str(record.folder))}`")
        if self.seconds_left is not None:
            lines.append(f"left      about {show_seconds(self.seconds_left)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the state and the tables as JSON."""
        record = self.record
        return {
            "finished": record.finished,
            "start": start_words(record.setup) or None,
            "problem": record.problem,
            "stopped": record.stopped,
            "driver": None if self.driver is None else asdict(self.driver),
            "at_work": [asdict(one) for one in self.at_work],
            "failures": [row for row in columns(record, "trials") if row["state"] == "failed"],
            "cut_off": self.repeated,
            "seconds_left": self.seconds_left,
            "rounds": columns(record, "rounds"),
            "trajectory": columns(record, "trajectory"),
        }


def read_status(folder: Path) -> Status:
    """Read the state of a run.

    Raises:
        UserError: the folder is no run.
    """
    run = Run.open(folder)
    before = read_driver(folder)
    driver = before if before is not None and before.alive else None
    found = replayed(run)
    record = record_of(run, found)
    return Status(
        record=record,
        driver=driver,
        at_work=_at_work(run, record) if driver is not None else (),
        seconds_left=_seconds_left(run, found, driver)
        if driver is not None and not record.finished
        else None,
    )


def _at_work(run: Run, record: RunRecord) -> tuple[AtWork, ...]:
    found = []
    for row in record.attempts:
        if row.state != "running":
            continue
        progress = read_progress(run.job_folder(row.job))
        epochs = record.config.training.epochs_of(record.data.train)
        share = progress.clips / progress.total if progress is not None else 0.0
        found.append(
            AtWork(
                worker=f"{row.attempt.process} on {row.attempt.host}",
                round=row.round,
                candidate=row.candidate,
                seed=row.seed,
                attempt=sum(other.job == row.job for other in record.attempts),
                epoch=share * epochs,
                epochs=epochs,
                seconds=max(0.0, time.time() - row.attempt.started),
            )
        )
    return tuple(found)


def _seconds_left(run: Run, found: Replayed, driver: Driver) -> float | None:
    """Estimate the seconds left as the driver does; None if it has announced no speed, or nothing is left."""
    facts, current = driver.facts, found.replay.current
    if current is None or "per_mac" not in facts:
        return None
    speed = Speed(fixed=facts["fixed"], per_mac=facts["per_mac"], each=facts.get("each", 0.0))
    clock = Clock(found.setup, speed, facts["workers"])
    for result in found.results.values():
        if isinstance(result, Measurement):
            clock.learn(result)
    running = []
    for candidate, job in current.missing(found.results):
        progress = read_progress(run.job_folder(job))
        share = progress.clips / progress.total if progress is not None else 0.0
        running.append((1 - share) * clock.seconds(candidate.macs, job))
    return clock.left(running, current.round.number)
