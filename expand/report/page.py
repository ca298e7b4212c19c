"""Writes a run as one HTML page without further files: figures, tables, and the details of each candidate.

The figures are those of `expand.plots`, as SVG in the page. Pointing at a mark in a figure shows its
candidate: scores, cost, factors and architecture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expand.config.base import to_yaml
from expand.plots import KINDS, Kind, draw
from expand.plots.captions import state, stopped
from expand.plots.style import name_of
from expand.report.findings import findings
from expand.report.html import fill, inline, write_page
from expand.report.sheets import (
    decisions_sheet,
    rounds_sheet,
    share,
    stability_sheet,
    state_of,
    trajectory_sheet,
    trials_sheet,
)
from expand.run.record import RunRecord, read_run, search_words, start_words
from expand.run.rows import CandidateRow
from expand.search.latency import LATENCY
from expand.search.stability import REPLAYS
from expand.system.escaping import visible_line
from expand.system.units import show_milliseconds, show_seconds
from search_spaces.base import presentation_of

REPORT = "report.html"

# A caption for each figure, for readers who have not seen such a figure.
_WORDS: dict[Kind, str] = {
    "trace": "Each round grows the network along every axis, by about the same cost, and keeps the best "
    "candidate. The line connects the networks that were kept; candidates that were not kept are faint. At a "
    "tie, dashed lines lead to the others that may be the best.",
    "rounds": "The score of each candidate. Where error bars overlap, the round could as well have kept the "
    "other candidate.",
    "decisions": "How sure each round is that its choice is right: what each candidate's score would be over "
    "all seeds and all such videos, as far as its trainings tell, and how probably it is the best.",
    "factors": "The factors of the networks that were kept, round by round.",
    "frontier": "Every network that was measured, against four kinds of cost.",
    "timeline": "The trainings of each worker over time.",
}
# The captions for other strategies than progressive expansion, which may accept any networks or none.
_OTHER_WORDS = _WORDS | {
    "trace": "Every network that was measured. The line connects those that were accepted, if the strategy "
    "accepts any; the others are faint.",
    "rounds": "The score of each network. Where error bars overlap, their order could as well be the other.",
    "factors": "The factors of the accepted networks, and of those of the targets.",
}


def write_report(folder: Path, file: Path | None = None) -> Path:
    """Write the page of a run, finished or not; by default into its folder, as report.html.

    Raises:
        UserError: the folder is no run, or the file cannot be written.
    """
    return write_page(file or folder / REPORT, render(read_run(folder)))


def render(record: RunRecord) -> str:
    """Return the page of a run as HTML."""
    explained = _WORDS if record.config.search.strategy == "expansion" else _OTHER_WORDS
    tested = any(row.test is not None for row in record.trajectory)
    return fill(
        "report.html",
        name=record.folder.name,
        facts=list(_facts(record)),
        state=state([record]) or stopped(record),
        findings=findings(record) if record.finished else [],
        figures=[(kind, explained[kind], inline(draw(kind, [record]), kind)) for kind in KINDS],
        axes=[(name, axis.label) for name, axis in record.setup.axes.items()],
        sheets=[
            (
                "Networks",
                f"The accepted networks, and the model of each target.{_TESTED if tested else ''}",
                trajectory_sheet(record),
            ),
            ("Rounds", "Every candidate of every round.", rounds_sheet(record)),
            *([("Decisions", _DECISIONS, decisions_sheet(record))] if record.decisions else []),
            *([("Done again", _STABILITY, stability_sheet(record))] if record.stability is not None else []),
            ("Trainings", "Every training: a candidate with one seed.", trials_sheet(record)),
        ],
        config=to_yaml(record.config),
        details=_script({row.key: _details(record, row) for row in record.rounds}),
    )


_TESTED = (
    " Trained again with seeds that chose nothing (fresh seeds), they are also scored on test videos (test), "
    "which had no part in the search."
)

_DECISIONS = (
    "How each round was decided, and how surely: the probability that the chosen candidate is the best, and "
    "that it is at most the margin below the best, in points; how far below it is expected to be; how "
    "probable it is that the round, repeated with other seeds and videos, has the same winner; the "
    "trainings that the round took, and about how many more would settle a tie."
)

_STABILITY = (
    f"The search, replayed {REPLAYS:,} times with the scores that other seeds and other validation videos "
    "would have given: how often each sequence of axes comes out, and each network for a target. What comes "
    "after networks that this search has not trained is unknown."
)


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield the facts of a run, as (name, text)."""
    data, search, cost = record.data, record.config.search, record.setup.cost
    tested = f", and {data.test:,} test videos that no decision depends on" if data.test else ""
    yield "data", f"{data.name}: {data.train:,} training and {data.val:,} validation videos{tested}"
    yield "classes", visible_line(", ".join(data.classes))
    if data.unseen:
        yield "not validated", visible_line(f"{', '.join(data.unseen)} (no validation video)")
    yield (
        "targets",
        ", ".join(f"{cost.show(target)} {cost.unit}" for target in sorted(search.targets)),
    )
    if limits := record.setup.problem.limits:
        yield "at most", ", ".join(one.words for one in limits)
    if profile := search.profile:
        yield "latency", f"predicted for {profile.words}: {profile.errors.words}"
    yield "search", search_words(record.setup)
    if words := start_words(record.setup):
        yield "start", words
    yield "axes", ", ".join(axis.label for axis in record.setup.axes.values())
    yield (
        "training",
        f"{record.config.training.budget} a candidate, {search.seeds_in_words}",
    )
    spent = sum(row.attempt.seconds or 0.0 for row in record.attempts)
    yield "trainings", f"{len(record.trials)}, {show_seconds(spent)} of workers' time in all"


def _cost_of(record: RunRecord, row: CandidateRow) -> dict[str, str]:
    """Return what the search limits, unless every page shows it, and for how long it was timed."""
    cost = record.setup.cost
    if cost.name in ("macs", "params", "activations"):
        return {}
    name = "predicted latency" if cost.name == LATENCY else cost.unit
    shown = {name: cost.show(row.network.cost)}
    for found in record.trajectory:
        if found.network == row.network and found.timed is not None:
            shown["timed"] = show_milliseconds(found.timed / 1e9)
    return shown


def _details(record: RunRecord, row: CandidateRow) -> dict[str, Any]:
    """Return the details that the page shows of a candidate, as JSON."""
    network, seeds = row.network, row.seeds
    each = f" ({', '.join(map(share, seeds.scores))})" if len(seeds.scores) > 1 else ""
    score = share(seeds.mean) + each
    beside = {"top-1": seeds.top1, "mean class": seeds.mean_class_accuracy}
    beside.pop({"top1": "top-1", "mean-class-accuracy": "mean class"}.get(record.objective.name, ""), None)
    scores = {
        record.objective.words: score,
        "test": share(seeds.test),
        **{words: share(value) for words, value in beside.items()},
        "state": state_of(row),
        **_cost_of(record, row),
        "MACs": f"{network.macs:,} a clip",
        "parameters": f"{network.params:,}",
        "activations": f"{network.activations:,} a clip",
        "latency": "" if seeds.latency is None else f"{show_milliseconds(seeds.latency)} a clip",
        "clip": str(network.clips),
    }
    space, became = record.setup.space, record.became(network)
    architecture = space.architecture(network.point)
    return {
        "title": f"round {row.round}: {name_of(network, record)}",
        "axis": network.axis,
        "score": f"{record.objective.words} {score or 'none'}",
        "scores": {name: text for name, text in scores.items() if text},
        "factors": {
            _factor(record, name): f"{value:g} → {became[name]}"
            if isinstance(value, int | float)
            else f"{value} → {became[name]}"
            for name, value in network.factors.items()
        },
        "architecture": list(_lines(space.architecture_to_json(architecture))),
    }


def _factor(record: RunRecord, name: str) -> str:
    """Return a factor's name with its symbol, if the space has one: `γt frames`."""
    symbol = presentation_of(record.setup.space).symbols.get(name)
    return name if symbol is None else f"{symbol.text} {name}"


def _lines(values: Any, name: str = "") -> Iterator[str]:
    """Yield an architecture's JSON as short lines, one for each dict in it, such as a stage."""
    if isinstance(values, dict):
        flat = {key: value for key, value in values.items() if not isinstance(value, dict | list)}
        if flat:
            yield f"{name}{': ' if name else ''}{', '.join(f'{key} {value}' for key, value in flat.items())}"
        for key, value in values.items():
            if key not in flat:
                yield from _lines(value, f"{name}{key}")
    elif isinstance(values, list) and any(isinstance(value, dict | list) for value in values):
        for number, value in enumerate(values, start=1):
            yield from _lines(value, f"{name} {number}")
    else:
        yield f"{name}: {', '.join(map(str, values)) if isinstance(values, list) else values}"


def _script(values: Any) -> str:
    """Return values as JSON that cannot end the script element it stands in."""
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")
