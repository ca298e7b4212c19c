"""A run's tables by column: as pandas frames for Python, and as rows for CSV, JSON and Markdown.

This module defines the names of the columns. A candidate's mean score over its seeds is in `top1`, or in
`score` where the search has another objective; the smallest and largest score and the standard deviation are
in the columns of that name with `_min`, `_max` and `_std` appended. Where what was found was trained again
with fresh seeds, its mean score over these is in `fresh`, and that on test videos in `test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from expand.config.search import Config
from expand.run.record import RunRecord, network_of, read_run
from expand.run.rows import AttemptRow, CandidateRow, Measured, Network, TargetRow, TrialRow, UngrownRow
from expand.search.decision import Decision
from expand.search.setup import DataCard

if TYPE_CHECKING:
    from pandas import DataFrame

Table = Literal["trajectory", "rounds", "decisions", "stability", "trials", "attempts"]
Columns = dict[str, Any]  # a row: its values by the names of the columns


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class RunFrames:
    """A RunRecord with its tables as pandas frames; its `repr` names them, with their sizes."""

    config: Config
    data: DataCard
    trials: DataFrame
    rounds: DataFrame
    decisions: DataFrame
    trajectory: DataFrame
    attempts: DataFrame
    models: dict[str, Path]
    finished: bool
    record: RunRecord = field(repr=False)

    def __repr__(self) -> str:
        search, cost, last = self.config.search, self.record.setup.cost, next(reversed(self.models), None)
        targets = ", ".join(cost.show(target) for target in search.targets)
        lines = [f"RunFrames of {self.record.folder}: {self.record.state}"]
        for name in ("trials", "rounds", "decisions", "trajectory", "attempts"):
            rows, columns = getattr(self, name).shape
            lines.append(f"  .{name:<10}  {rows:,} × {columns}")
        lines += [
            f"  .models      {len(self.models)} files by name{f', the last {last}' if last else ''}",
            f"  .data        {self.data.name}: {self.data.train:,} training and {self.data.val:,} validation "
            f"videos, {len(self.data.classes)} classes",
            f"  .config      {search.strategy} to {targets} {cost.unit}",
            "  .stability   how often each sequence of axes would come out again",
        ]
        return "\n".join(lines)

    @property
    def stability(self) -> DataFrame:
        """How often each sequence of axes, and each network, would come out of the search, done again.

        Empty if that cannot be said. It takes up to some seconds the first time.
        """
        return frame(self.record, "stability")


def load_run(path: str | Path) -> RunFrames:
    """Read a run, finished or not, as pandas frames.

    They are trials, rounds, decisions, stability, trajectory and attempts.

    Raises:
        UserError: the folder is no run.
    """
    record = read_run(Path(path))
    return RunFrames(
        config=record.config,
        data=record.data,
        trials=frame(record, "trials"),
        rounds=frame(record, "rounds"),
        decisions=frame(record, "decisions"),
        trajectory=frame(record, "trajectory"),
        attempts=frame(record, "attempts"),
        models=record.models,
        finished=record.finished,
        record=record,
    )


def frame(record: RunRecord, table: Table) -> DataFrame:
    """Return a table of a run as a pandas frame."""
    from pandas import DataFrame

    return DataFrame(columns(record, table))


def columns(record: RunRecord, table: Table) -> list[Columns]:
    """Return the rows of a table of a run, each a dict of values by the names of the columns."""
    tables: dict[Table, Callable[[RunRecord], Iterator[Columns]]] = {
        "trajectory": _trajectory,
        "rounds": _rounds,
        "decisions": lambda record: map(_decision, record.decisions),
        "stability": _stability,
        "trials": lambda record: (_trial(record, row) for row in record.trials),
        "attempts": lambda record: (_attempt(row) for row in record.attempts),
    }
    return list(tables[table](record))


def _trajectory(record: RunRecord) -> Iterator[Columns]:
    for row in record.trajectory:
        target = row.target if isinstance(row, TargetRow) else None
        first = {"name": row.name, "step": row.step, "target": target, "round": row.round}
        fresh = {} if row.fresh is None else {"fresh_seeds": len(row.fresh.scores), "fresh": row.fresh.mean}
        test = {} if row.test is None else {"test": row.test}
        timed = {} if row.timed is None else {"timed_latency": row.timed}
        yield {**first, **_measured(record, row), **fresh, **test, **timed}


def _rounds(record: RunRecord) -> Iterator[Columns]:
    """Yield, round by round, a row for each candidate, then a row for each axis without a candidate."""
    grown = record.setup.problem.grown
    for number in record.numbers:
        for candidate in (row for row in record.rounds if row.round == number):
            yield _candidate(record, candidate, grown)
        for axis in (row for row in record.ungrown if row.round == number):
            yield _ungrown(axis)


def _decision(decision: Decision) -> Columns:
    belief = {} if decision.belief is None else asdict(decision.belief)
    return {
        "round": decision.round,
        "chosen": decision.chosen,
        "verdict": decision.verdict,
        "p_best": belief.get("best"),
        "p_within_margin": belief.get("within"),
        "regret": belief.get("regret"),
        "p_again": belief.get("again"),
        "tied": ", ".join(decision.tied),
        "learned_nothing": ", ".join(decision.blind),
        "trainings": decision.trainings,
        "settling": decision.settling,
    }


def _stability(record: RunRecord) -> Iterator[Columns]:
    """Yield a row for each sequence of axes, then rows for the networks of each target."""
    found = record.stability
    if found is None:
        return
    for one in found.sequences:
        shared = {"replays": found.replays, "share": one.share, "own": one.own}
        axes = ", ".join(one.sequence.axes)
        yield {"of": "sequence", "axes": axes, "end": one.sequence.end, **shared}
    for target, networks in found.networks.items():
        for each in networks:
            shared = {"replays": found.replays, "share": each.share, "own": each.own}
            known = each.candidate is not None
            columns = (
                {} if each.candidate is None else _network(record, network_of(record.setup, each.candidate))
            )
            end = "whole" if known else "unknown"
            yield {"of": target, "axes": ", ".join(each.axes), "end": end, **shared, **columns}


def _candidate(record: RunRecord, row: CandidateRow, grown: bool) -> Columns:
    first = {"round": row.round, "kind": row.kind, "accepted": row.accepted}
    gain = {"gain": row.gain} if grown else {}
    return {**first, **_measured(record, row), **gain, "learned": row.seeds.learned}


def _ungrown(row: UngrownRow) -> Columns:
    return {
        "round": row.round,
        "candidate": row.axis,
        "axis": row.axis,
        "kind": row.kind,
        "accepted": False,
        "state": row.why,
    }


def _trial(record: RunRecord, row: TrialRow) -> Columns:
    """Return the row of a training; `score` is left out where it equals `top1`."""
    found = asdict(row.measurement) if row.measurement is not None else {}
    for whole in ("video_scores", "epoch_losses"):  # many numbers, not one for a column
        found.pop(whole, None)
    if record.config.search.objective == "top1":
        found.pop("score", None)
        found.pop("test_score", None)
    if found.get("test_score", found.get("test_top1")) is None:
        found = {name: value for name, value in found.items() if not name.startswith("test_")}
    if record.data.several_labels:
        found = {name: value for name, value in found.items() if value is not None}
    if found.get("guess_loss") is None:
        found.pop("guess_loss", None)
    return {
        "round": row.round,
        "candidate": row.network.candidate,
        "axis": row.network.axis,
        "seed": row.seed,
        "job": row.job,
        "state": "failed" if row.measurement is None else "done",
        "reason": row.reason,
        **_network(record, row.network),
        **found,
    }


def _attempt(row: AttemptRow) -> Columns:
    return {
        "round": row.round,
        "candidate": row.candidate,
        "axis": row.axis,
        "seed": row.seed,
        "job": row.job,
        "state": row.state,
        **asdict(row.attempt),
    }


def _measured(record: RunRecord, row: Measured) -> Columns:
    seeds = row.seeds
    return {
        "candidate": row.network.candidate,
        "axis": row.network.axis,
        "state": row.state,
        "reason": row.reason,
        **_network(record, row.network),
        "seeds": len(seeds.measurements),
        **_scores(record, row),
        "loss": seeds.loss,
        "seconds": seeds.seconds,
        "latency": seeds.latency,
    }


def _scores(record: RunRecord, row: Measured) -> Columns:
    """Return the columns of the score over the seeds, and of further accuracies."""
    name, seeds = "score", row.seeds
    beside = {"top1": seeds.top1, "mean_class_accuracy": seeds.mean_class_accuracy}
    if record.config.search.objective == "top1":
        name = "top1"
        del beside["top1"]
    if record.data.several_labels:
        beside = {}
    return {
        name: seeds.mean,
        f"{name}_min": seeds.lowest,
        f"{name}_max": seeds.highest,
        f"{name}_std": seeds.deviation,
        **beside,
    }


def _network(record: RunRecord, network: Network) -> Columns:
    return {
        **{f"factor_{name}": value for name, value in network.factors.items()},
        "frames": network.clips.frames,
        "stride": network.clips.stride,
        "size": network.clips.size,
        "macs": network.macs,
        "params": network.params,
        "activations": network.activations,
        record.setup.cost.name: network.cost,
    }
