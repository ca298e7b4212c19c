"""Replays all ways of searching on a table, many times each, on all cores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from expand.bench.table.contenders import CONTENDERS, Contender, near
from expand.bench.table.lookup import Lookup
from expand.bench.table.replays import Climb, replay
from expand.search.base import Training
from expand.system.cores import cores
from expand.system.errors import UserError

_CHUNK = 10  # replays that a process does at a time


def replay_all(
    lookup: Lookup, names: Sequence[str], *, target: int, budget: float | None, replays: int
) -> dict[str, list[Climb]]:
    """Replay ways of searching; those that end by themselves first.

    Args:
        lookup: the table.
        names: of the contenders; none: all whose networks the table has.
        target: the limit of cost.
        budget: the multiply-adds that the others may spend; None: as many as the most that one of the first
            spends on average, but no more than it takes to train each network once that was drawn near the
            target, for random search has no others.
        replays: of each.

    Raises:
        UserError: a name is unknown, there is no budget, or the table lacks a network.
    """
    if unknown := [name for name in names if name not in CONTENDERS]:
        raise UserError(f"--search must be one of {', '.join(CONTENDERS)}, got {', '.join(unknown)}.")
    chosen = [CONTENDERS[name] for name in names]
    chosen = chosen or [one for one in CONTENDERS.values() if _is_known(lookup, one, target)]
    climbs: dict[str, list[Climb]] = {}
    # Processes are started anew: a fork of one that has threads, such as those of numpy, may hang.
    pool = ProcessPoolExecutor(cores(), mp_context=get_context("spawn"))
    try:
        for contender in sorted(chosen, key=lambda one: one.budgeted):
            if budget is None and contender.budgeted:
                if not climbs:
                    raise UserError("there must be a budget where no expansion is replayed: add --budget.")
                budget = min(max(_mean_spent(one) for one in climbs.values()), _all_drawn(lookup, target))
            chunks = [range(at, min(at + _CHUNK, replays)) for at in range(0, replays, _CHUNK)]
            asked = [
                pool.submit(_replay_some, lookup.file, contender.name, target, budget or 0.0, chunk)
                for chunk in chunks
            ]
            climbs[contender.name] = [climb for one in asked for climb in one.result()]
    finally:  # also where the user interrupts: what is not begun is dropped
        pool.shutdown(cancel_futures=True)
    return {name: climbs[name] for name in CONTENDERS if name in climbs}


def _is_known(lookup: Lookup, contender: Contender, target: int) -> bool:
    """Whether a table has the networks of a contender."""
    if contender.way == "grown":
        return lookup.grown is not None
    kinds = {"random": "drawn", "hand-scaled": "scaled"}
    return contender.name not in kinds or bool(near(lookup, target, [kinds[contender.name]]))


def _all_drawn(lookup: Lookup, target: int) -> float:
    """The multiply-adds that it takes to train each network once that was drawn near a target."""
    drawn = near(lookup, target, ["drawn"])
    return lookup.problem.spent(Training(candidate=one.candidate, seed=0) for one in drawn) or math.inf


def _mean_spent(climbs: Sequence[Climb]) -> float:
    return statistics.fmean(climb.spent for climb in climbs)


@cache
def _table(file: Path) -> Lookup:
    """The table, read once in each process."""
    return Lookup.read(file)


def _replay_some(file: Path, name: str, target: int, budget: float, numbers: Sequence[int]) -> list[Climb]:
    """Some replays of a contender, in a process of its own."""
    return [
        replay(_table(file), CONTENDERS[name], target=target, budget=budget, number=number)
        for number in numbers
    ]
