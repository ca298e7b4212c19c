"""What a terminal shows of a run: tables, the workers' trainings, and the forecast of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from expand.data.splitting import few_words
from expand.report.sheets import Sheet
from expand.run.comparison import Comparison
from expand.run.record import search_words, start_words
from expand.run.resources import Machine
from expand.run.status import AtWork
from expand.search.decision import Decision
from expand.search.forecast import Clock, Forecast, Speed, closest, forecast
from expand.search.setup import Setup
from expand.search.stability import Stability
from expand.system.listing import Listing
from expand.system.units import show_count, show_seconds
from expand.training.memory_forecast import Foresight
from search_spaces.base import ClipSampling

_ROUNDS, _SMALLEST_STEP = 3, 1.1  # rounds that are advised, and the smallest step that makes sense
_NEAR = 2  # times the MACs of the largest timed network, up to which a forecast isn't called extrapolated


def to_table(sheet: Sheet) -> Listing:
    """Turn a sheet into a table for the terminal."""
    right = [heading for heading, holds in zip(sheet.headings, sheet.right, strict=True) if holds]
    wrapped = ["state", "decision", "axes", "ahead of"]
    listing = Listing(sheet.headings, right=right, wrapped=wrapped, spare=sheet.spare)
    for line in sheet.lines:
        listing.row(*line.cells, style=line.emphasis or None)
    return listing


def forecast_text(
    setup: Setup, clock: Clock, machine: Machine, speed: Speed, foresight: Foresight | None
) -> str:
    """Return the forecast of a search as lines: its start, targets and trainings, its time and its memory.

    Args:
        setup: the search.
        clock: forecasts its seconds.
        machine: the workers.
        speed: the workers' measured speed.
        foresight: the forecast of memory, if there is one.
    """
    expected, config, data = forecast(setup), setup.config, setup.data
    began = f": {start_words(setup)}" if config.search.start is not None else ""
    begin, show, unit = setup.problem.start, setup.cost.show, setup.cost.unit
    clip = setup.space.sampling(begin.point)
    changed = ", ".join(f"{key} {value}" for key, value in config.space.settings.items())
    basis = f"{config.space.name} with {changed}" if changed else f"{config.space.name}'s own basis"
    rounds = f"({', '.join(map(str, expected.candidates))} a round)"
    if (candidates := sum(expected.candidates)) < expected.trainings:
        rounds = f"of {candidates} candidates {rounds} with {config.search.seeds_in_words} each"
    again = " and further trainings of a start that learns nothing" if setup.problem.grown else ""
    origin = "their parents' weights" if setup.problem.grown else "random weights"
    targets = [f"{show(target)} {unit}" for target in sorted(config.search.targets)]
    targets += [f"at most {limit.words}" for limit in setup.problem.limits]
    more, longer = "", ""
    most = forecast(closest(setup))
    if most.trainings > expected.trainings:
        more = f"; up to {most.trainings} trainings, {show_count(most.macs)} MACs, if every decision is close"
        longer = f" to {show_seconds(clock.at_most())}"
    return (
        f"data      {data.name}: {data.train:,} training and {data.val:,} validation videos, "
        f"{len(data.classes)} classes{f'; {few}' if (few := few_words(data.val)) else ''}\n"
        f"start     {show(begin.cost)} {unit}, {_in_words(clip)} ({basis}){began}\n"
        f"targets   {', '.join(targets)}\n{_latency(setup, expected)}"
        f"axes      {', '.join(setup.axes)}\n"
        f"search    {search_words(setup)}{_budget(setup)}{_one_round(setup)}\n"
        f"training  about {expected.trainings} trainings {rounds}, {config.training.budget} each "
        f"from {origin}, {show_count(expected.macs)} MACs in all{more}\n"
        f"time      about {show_seconds(clock.total())}{longer} with {machine.described}, the decoding of "
        f"the videos{again} left out{_extrapolated(expected, speed)}\n"
        + (f"memory    {foresight.described}\n" if foresight is not None else "")
        + f"repeats   {machine.repeats}"
    )


def _in_words(clip: ClipSampling) -> str:
    """Return a clip as tables write it, and what that means: `clip 4×12, 112²: 4 frames, …`."""
    frames = f"{clip.frames} frame{'s' if clip.frames > 1 else ''}"
    every = f", every {clip.stride} of {clip.fps:g} a second," if clip.frames > 1 else ""
    return f"clip {clip}: {frames}{every} of {clip.size}×{clip.size} pixels"


def _latency(setup: Setup, expected: Forecast) -> str:
    """Return a line on how latency is predicted, and how surely, if the search has a profile."""
    profile, settings = setup.config.search.profile, setup.config.space.settings
    if profile is None:
        return ""
    beyond = ""
    if profile.extrapolates(expected.dearest):
        beyond = f"; extrapolated from networks of up to {show_count(profile.macs[1])} MACs"
    elif profile.settings != settings:
        beyond = "; measured with other settings of the space"
    return f"latency   predicted for {profile.words}: {profile.errors.words}{beyond}\n"


def _budget(setup: Setup) -> str:
    """Return the budget of a search in words, if it has one."""
    budget = setup.config.search.budget
    return "" if budget is None else f", within {show_count(budget)} multiply-adds trained"


def _one_round(setup: Setup) -> str:
    """Return that one round chooses an axis, and how there are more, where a step reaches all targets."""
    config, start, largest = setup.config.search, setup.problem.start.cost, max(setup.config.search.targets)
    smaller = (largest / start) ** (1 / _ROUNDS)
    if config.strategy != "expansion" or start * config.step < largest or smaller < _SMALLEST_STEP:
        return ""
    return (
        f"; one round only, as a step may grow the start {config.step:g} times: --set "
        f"search.step={smaller:.2f} makes about {_ROUNDS} of it"
    )


def _extrapolated(expected: Forecast, speed: Speed) -> str:
    """Return a warning if the search has much larger networks than those that were timed, else nothing."""
    if speed.timed is None:
        return "; no network could be timed, so this is a guess"
    if expected.dearest <= _NEAR * speed.timed:
        return ""
    return f"; extrapolated from networks of up to {show_count(speed.timed)} MACs"


def forecast_json(setup: Setup, clock: Clock, foresight: Foresight | None = None) -> dict[str, Any]:
    """Return the forecast of a search as JSON."""
    expected, most = forecast(setup), forecast(closest(setup))
    return {
        "trainings": expected.trainings,
        "rounds": [len(loads) for loads in expected.rounds],
        "candidates": list(expected.candidates),
        "macs": expected.macs,
        "seconds": clock.total(),
        "most": {"trainings": most.trainings, "macs": most.macs, "seconds": clock.at_most()},
        "memory": foresight.to_json() if foresight is not None else None,
    }


def path_words(decisions: Sequence[Decision], stability: Stability | None = None) -> str:
    """Return how sure it is that all decisions of a search are right, and would be made again."""
    beliefs = [decision.belief for decision in decisions]
    known = [belief for belief in beliefs if belief is not None]
    best, within = (
        math.prod(values) for values in zip(*((one.best, one.within) for one in known), strict=True)
    )
    which = "all" if len(known) == len(beliefs) else "these"
    return (
        f"P that {which} {len(known)} decisions took the best axis: {best:.0%}; that none is off by more "
        f"than the margin: {within:.0%}. {'' if stability is None else _stable_words(stability)}"
        "(docs/decisions.md says what this means.)"
    )


def _stable_words(stability: Stability) -> str:
    """Return how often a search finds the same again, in a sentence and a space."""
    same = stability.same_sequence
    said = [] if same is None else [f"the same sequence of axes comes out in {100 * same:.0f} of 100 cases"]
    networks = [f"for {name} in {100 * share:.0f}" for name, share in stability.same_networks.items()]
    said += [f"the same network {' and '.join(networks)}"] if networks else []
    return f"Searched again, with other seeds and videos, {', '.join(said)}. "


def comparison_words(found: Comparison) -> str:
    """Return what a comparison does and does not tell, in sentences."""
    scored = "with fresh seeds" if found.fresh else "with the seeds that chose it, which flatters it"
    sure = (
        "in brackets: how probable it is that this holds over all seeds of the search"
        if any(chance is not None for _, _, chance in found.pairs)
        else "how sure that is cannot be said: it takes runs with several seeds (search.seed)"
    )
    return (
        f"Networks of at most {found.target_name}; spent: multiply-adds trained, on average; what was found "
        f"is scored {scored}. Ahead: a higher mean score; {sure}. (docs/strategies.md says what this means.)"
    )


NOT_SAID = (
    "How often a search with other seeds would find the same cannot be said: that takes a round that is "
    "decided, and two trainings of a candidate, which tell how scores scatter (--seeds 3)."
)


def at_work_table(found: Sequence[AtWork]) -> Listing:
    """Return the table of workers, and the training that each does."""
    headings = ("worker", "round", "candidate", "seed", "epoch", "time", "attempt")
    right = [heading for heading in headings if heading not in ("worker", "candidate")]
    listing = Listing(headings, right=right, wrapped=["worker"], spare=["attempt", "round", "time"])
    for one in found:
        listing.row(
            one.worker,
            str(one.round),
            one.candidate,
            str(one.seed),
            f"{one.epoch:.1f}/{one.epochs:.3g}",
            show_seconds(one.seconds),
            str(one.attempt),
        )
    return listing
