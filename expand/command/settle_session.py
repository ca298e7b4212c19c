"""Settles the decisions of a run: trains further where that is worth most, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from expand.command.session import Guard, fitting
from expand.config.data_paths import check_there
from expand.config.options import NO_SETTINGS, build_config
from expand.config.search import Config
from expand.report.live_search import SearchView
from expand.run.driver import drive
from expand.run.extension import forks
from expand.run.preparation import decode, plan
from expand.run.record import Replayed, replayed
from expand.run.study import Run
from expand.search.decision import Decision
from expand.search.settling import LEAST_FALL, Settling, most_settling
from expand.search.setup import Setup
from expand.system.console import err, say
from expand.system.errors import UserError
from expand.system.folders import CONFIG
from expand.system.signals import Interrupted


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What was spent to settle a run.

    Attributes:
        rounds: how many trainings settled each round, by its number.
        before, after: the expected regret of the path, in units of the score.
        forked: where the path forks, in a sentence; None: it does not.
    """

    rounds: Mapping[int, int]
    before: float
    after: float
    forked: str | None = None

    @property
    def trainings(self) -> int:
        """How many trainings settled rounds. Those of a new branch's rounds are none of them."""
        return sum(self.rounds.values())

    def sentences(self, asked: int) -> list[str]:
        """What was spent of the trainings asked for and what it gave, as sentences."""
        regret = f"{100 * self.before:.1f} points"
        if not self.rounds:
            return [
                f"Nothing was trained: by at most {asked} trainings, the expected regret of the path, "
                f"{regret}, would fall by less than {100 * LEAST_FALL:g} points a training."
            ]
        rounds = ", ".join(f"{count} in round {number}" for number, count in sorted(self.rounds.items()))
        rest = "" if self.trainings == asked else f" of {asked}; no stage of the rest is worth it"
        return [
            f"Settled by {self.trainings} trainings{rest} ({rounds}): the expected regret of the path was "
            f"{regret} and is {100 * self.after:.1f}.",
            *([] if self.forked is None else [self.forked]),
        ]


def settle(
    run: Run,
    trainings: int,
    settings: Mapping[str, Any] = NO_SETTINGS,
    guard: Guard = lambda _: nullcontext(),
) -> Settled:
    """Train a run further where the expected regret of its path falls most, up to its report.

    Each stage becomes part of the run's configuration (`search.settled`) before it is trained, so a run that
    was interrupted or killed can be resumed like any other. Where a stage turns a decision, the path forks,
    and the search goes on along the new branch.

    Args:
        run: to settle.
        trainings: how many trainings may be spent; those that a new branch takes are not counted.
        settings: of its `run` section, such as `run.workers`.
        guard: what to hold while the search goes on.

    Raises:
        UserError: another process drives the run, its configuration or videos have changed, it is not
            finished, or nothing is known of how sure its decisions are.
        RunFailed: the search cannot go on.
    """
    from expand.report.page import write_report

    if trainings < 2:
        raise UserError(f"--trainings must be at least 2, since a stage trains two or more, got {trainings}.")
    with run.locked(), guard(run):
        run.complete_extension()
        before = replayed(run)
        _check(run, before)
        start = _regret(before.replay.decisions)
        if next_stage(before, trainings) is None:
            return Settled(rounds={}, before=start, after=start)
        spent = _train(run, before, trainings, settings)
    write_report(run.folder)
    after = replayed(run).replay
    return Settled(
        rounds=spent,
        before=start,
        after=_regret(after.decisions),
        forked=forks([state.name for state in before.replay.states], after.states),
    )


def _train(run: Run, so_far: Replayed, trainings: int, settings: Mapping[str, Any]) -> Counter[int]:
    """Train stages until the trainings are spent; return how many were spent on each round."""
    config = build_config(run.folder / CONFIG, settings=settings)
    check_there(config)
    planned = fitting(plan(config))
    speed = planned.machine.time(planned.setup)
    spent = Counter[int]()
    with SearchView(err) as view:
        prepared = decode(planned, view.caching, run.data)
        try:
            while (stage := next_stage(so_far, trainings - spent.total())) is not None:
                view.note(_announced(stage))
                path = [state.name for state in so_far.replay.states]
                config = _with_stage(config, stage)
                run.extend(config, run.data, path)
                spent[stage.round] += len(stage.names)
                prepared = replace(prepared, setup=Setup.of(config, run.data))
                drive(run, prepared, speed, view)
                so_far = replayed(run)
                if (fork := forks(path, so_far.replay.states)) is not None:
                    view.note(fork)
        except Interrupted:
            left = trainings - spent.total()
            say(f"{spent.total()} of {trainings} trainings are spent or begun; {left} are left for `settle`")
            raise
    return spent


def next_stage(so_far: Replayed, trainings: int) -> Settling | None:
    """The stage that is worth most, of at most so many trainings; None: none is worth it."""
    decided = [(jobs.round, jobs.outcomes(so_far.results)) for jobs in so_far.replay.rounds]
    return most_settling(so_far.setup.problem, decided, so_far.replay.decisions, trainings)


def _check(run: Run, so_far: Replayed) -> None:
    """Check that a run is finished, and that something is known of how sure its decisions are.

    Raises:
        UserError: it is not, or nothing is.
    """
    if so_far.replay.trajectory is None or run.behind:
        raise UserError(f"a run must be finished before it is settled, but {run.folder} is not: resume it.")
    if not so_far.replay.decisions:
        strategy = so_far.setup.config.search.strategy
        raise UserError(
            f"a run must make decisions to be settled, but {run.folder} makes none (search.strategy: "
            f"{strategy}): settle one of strategy expansion that has grown."
        )
    if all(decision.belief is None for decision in so_far.replay.decisions):
        raise UserError(
            f"how sure its decisions are must be known to settle a run, but {run.folder} has one training of "
            "each candidate, or none has learned anything: extend it by --seeds 2-8 first."
        )


def _with_stage(config: Config, stage: Settling) -> Config:
    settled = config.search.settled
    now = {**settled, stage.branch: settled.get(stage.branch, 0) + 1}
    return config.model_copy(update={"search": config.search.model_copy(update={"settled": now})})


def _announced(stage: Settling) -> str:
    return (
        f"settling round {stage.round}: {', '.join(stage.names)} once more; the regret is expected to fall "
        f"by {100 * stage.fall:.2g} points a training"
    )


def _regret(decisions: Sequence[Decision]) -> float:
    """The expected regret of a path: the sum of those of its decisions."""
    return sum(one.belief.regret for one in decisions if one.belief is not None)
