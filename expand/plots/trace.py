"""The figure of the trace: the score against what the search counts, with the accepted path and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expand.plots import captions
from expand.plots.labels import Label, place_labels
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent, log_scale
from expand.plots.style import (
    FAINT,
    INK,
    axis_handles,
    is_start,
    look_of,
    name_of,
    new_figure,
    settle,
    start_name,
)
from expand.run.record import RunRecord
from expand.run.rows import CandidateRow, Measured, StateRow, TargetRow
from expand.search.latency import LATENCY
from expand.training.objectives import Chance

_TITLE, _OTHER_TITLE = "Expansion trace", "Search trace"
_FORK = (0, (2, 1.2))  # the dashes of a step that the path could have taken
_NAMED = 2  # the most candidates of a tie that are named
# What a search counts, along the axis.
_COUNTS = {
    "macs": "multiply-adds per clip",
    "activations": "activations per clip",
    LATENCY: "predicted latency",
}


def trace(records: Sequence[RunRecord]) -> Figure:
    """Draw the trace of a run, as figure 2 of the X3D paper."""
    (record,) = records
    measured, expansion = record.measured, record.config.search.strategy == "expansion"
    title = captions.title(record, _TITLE if expansion else _OTHER_TITLE)
    if not measured:
        return captions.nothing(records, title, "No candidate has a score yet.")
    figure = new_figure(4.4, title)
    axes = figure.subplots()
    path, targets, forks = record.path, record.targets, forks_of(record)
    _rejected(axes, record, [row for row in measured if row.key not in {fork.row.key for fork in forks}])
    _forks(axes, record, forks)
    _path(axes, record, path)
    _targets(axes, record, path, targets)
    chance = record.chance
    if chance is not None:
        axes.axhline(chance.score, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    _frame(axes, record, measured, chance)
    _legend(axes, record, measured, path, targets, forks)
    captions.caption(
        figure,
        captions.state(records),
        captions.metric(record),
        captions.counted(record),
        captions.about(record),
        f"Dotted line: {chance.words}, {chance.score:.1%}." if chance is not None else "",
        "Hollow, and “or”: tied with the accepted one; the path could have gone there." if forks else "",
    )
    labels = [
        Label(
            x=row.network.cost,
            y=row.score,
            text=f"{start_name(record)}, {row.network.clips}"
            if is_start(row.network)
            else name_of(row.network, record),
            more=_or(record, row, forks),
            bold=True,
        )
        for row in path
    ] + [
        Label(
            x=row.network.cost,
            y=row.score,
            text=f"target {record.setup.cost.short(row.target)}",
        )
        for row in targets
    ]
    settle(figure)
    place_labels(axes, labels, _kept_free(measured, targets), _lines(axes, path, targets, forks, chance))
    return figure


@dataclass(frozen=True, slots=True)
class Fork:
    """A step that the path could have taken: from an accepted state to a candidate tied with the next one."""

    state: StateRow
    after: StateRow
    row: CandidateRow


def forks_of(record: RunRecord) -> list[Fork]:
    """Return the steps that the path could have taken at its ties."""
    found = []
    for state, after in pairwise(record.path):
        tied = {name for one in record.decisions if one.round == after.round for name in one.tied} - {
            after.network.candidate
        }
        found += [
            Fork(state, after, row)
            for row in record.measured
            if row.round == after.round and row.network.candidate in tied
        ]
    return found


def _or(record: RunRecord, row: StateRow, forks: Sequence[Fork]) -> str:
    """Name the candidates tied with an accepted one, whose marks may be hidden under its own."""
    names = [name_of(fork.row.network, record) for fork in forks if fork.after is row]
    if len(names) > _NAMED:
        return f"or {len(names)} others"
    return f"or {', '.join(names)}" if names else ""


def _lines(
    axes: Axes,
    path: Sequence[StateRow],
    targets: Sequence[TargetRow],
    forks: Sequence[Fork],
    chance: Chance | None,
) -> list[tuple[list[float], list[float]]]:
    """The drawn lines, as their x and y: the path, its forks, the contractions, and the score by chance."""
    lines = [([float(row.network.cost) for row in path], [row.score for row in path])]
    lines += [
        ([state.network.cost, target.network.cost], [state.score, target.score])
        for target in targets
        for state in path
        if state.step == target.step
    ]
    lines += [
        ([fork.state.network.cost, fork.row.network.cost], [fork.state.score, fork.row.score])
        for fork in forks
    ]
    if chance is not None:
        lines.append(([*axes.get_xlim()], [chance.score, chance.score]))
    return lines


def _kept_free(measured: Sequence[CandidateRow], targets: Sequence[TargetRow]) -> list[tuple[float, float]]:
    """Points, and their error bars as points along them."""
    points = []
    for row in (*measured, *targets):
        spread = row.seeds.deviation or 0.0
        points += [(row.network.cost, row.score + share * spread) for share in (-1, -0.5, 0, 0.5, 1)]
    return list(dict.fromkeys(points))


def _rejected(axes: Axes, record: RunRecord, rows: Sequence[CandidateRow]) -> None:
    for row in rows:
        if not row.accepted:
            look = look_of(row.network, record)
            _error(axes, row, look.colour, 0.35)
            axes.plot(
                row.network.cost,
                row.score,
                look.marker,
                color=look.colour,
                alpha=0.5,
                markersize=5,
                markeredgewidth=0,
                gid=mark_of("trace", row),
                zorder=2,
            )


def _forks(axes: Axes, record: RunRecord, forks: Sequence[Fork]) -> None:
    """Draw a dashed line and a hollow mark for each step that the path could have taken."""
    for fork in forks:
        look, row = look_of(fork.row.network, record), fork.row
        axes.plot(
            [fork.state.network.cost, row.network.cost],
            [fork.state.score, row.score],
            color=look.colour,
            linewidth=1.0,
            linestyle=_FORK,
            zorder=3,
        )
        _error(axes, row, look.colour, 0.35)
        axes.plot(
            row.network.cost,
            row.score,
            look.marker,
            markersize=6,
            markerfacecolor="white",
            markeredgecolor=look.colour,
            markeredgewidth=1.2,
            gid=mark_of("trace", row),
            zorder=4,
        )


def _path(axes: Axes, record: RunRecord, path: Sequence[StateRow]) -> None:
    axes.plot(
        [row.network.cost for row in path],
        [row.score for row in path],
        color=INK,
        linewidth=1.3,
        zorder=3,
    )
    for row in path:
        look = look_of(row.network, record)
        _error(axes, row, INK, 1.0)
        axes.plot(
            row.network.cost,
            row.score,
            look.marker,
            color=look.colour,
            markersize=7.5,
            markeredgecolor=INK,
            markeredgewidth=0.9,
            gid=mark_of("trace", row),
            zorder=5,
        )


def _targets(axes: Axes, record: RunRecord, path: Sequence[StateRow], targets: Sequence[TargetRow]) -> None:
    """Draw a diamond for each target, with a dashed line from the state that was contracted."""
    accepted = {row.key for row in path}
    for row in targets:
        own = row.key not in accepted  # else a state meets the target as it is
        for grown in (state for state in path if own and state.step == row.step):
            axes.plot(
                [grown.network.cost, row.network.cost],
                [grown.score, row.score],
                color=INK,
                linewidth=0.9,
                linestyle=(0, (4, 2)),
                zorder=3,
            )
        _error(axes, row, INK, 1.0)
        look = look_of(row.network, record)
        axes.plot(
            row.network.cost,
            row.score,
            "D",
            markersize=6 if own else 11,
            markerfacecolor="white" if own else "none",
            markeredgecolor=look.colour if own else INK,
            markeredgewidth=1.4,
            gid=mark_of("trace", row),
            zorder=5,
        )


def _error(axes: Axes, row: Measured, colour: str, alpha: float) -> None:
    spread = row.seeds.deviation
    if spread is not None:
        axes.errorbar(
            row.network.cost,
            row.score,
            yerr=spread,
            color=colour,
            alpha=alpha,
            linewidth=0.9,
            capsize=2,
            capthick=0.9,
            zorder=2,
        )


def _frame(axes: Axes, record: RunRecord, rows: Sequence[CandidateRow], chance: Chance | None) -> None:
    """Limits with room for labels, a logarithmic axis of the cost, and the score in percent."""
    low, high = (
        min(row.network.cost for row in rows),
        max(row.network.cost for row in rows),
    )
    log_scale(axes, record.setup.cost.show, low / 1.35, high * 1.35, closest=0.08)
    spreads = [(row.score, row.seeds.deviation or 0.0) for row in rows]
    guess = [] if chance is None else [chance.score]
    bottom = min([*guess, *(score - spread for score, spread in spreads)])
    top = max([*guess, *(score + spread for score, spread in spreads)])
    room = max(0.02, 0.1 * (top - bottom))
    axes.set_ylim(max(0.0, bottom - room), min(1.0, top + room) if top < 1 else 1 + room)
    in_percent(axes.yaxis)
    axes.set_xlabel(_COUNTS.get(record.setup.cost.name, record.setup.cost.unit))
    axes.set_ylabel(f"{record.objective.words} on validation")


def _legend(
    axes: Axes,
    record: RunRecord,
    rows: Sequence[CandidateRow],
    path: Sequence[StateRow],
    targets: Sequence[TargetRow],
    forks: Sequence[Fork],
) -> None:
    handles = axis_handles({row.key for row in rows if not is_start(row.network)}, record, size=5)
    if path:
        handles.append(Line2D([], [], color=INK, linewidth=1.3, label="accepted"))
    if forks:
        hollow = Line2D(
            [], [], color=FAINT, linestyle=_FORK, linewidth=1.0, marker="o", markersize=5,
            markerfacecolor="white", markeredgewidth=1.2, label="tied with the accepted",
        )  # fmt: skip
        handles.append(hollow)
    if any(not row.accepted for row in rows if row.key not in {fork.row.key for fork in forks}):
        faint = Line2D(
            [], [], color=FAINT, marker="o", linestyle="", alpha=0.5, markersize=5, label="not accepted"
        )
        handles.append(faint)
    handles += _target_handles(path, targets)
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _target_handles(path: Sequence[StateRow], targets: Sequence[TargetRow]) -> list[Line2D]:
    """Make a legend entry for each way in which the network of a target was found."""
    accepted, steps = {row.key for row in path}, {row.step for row in path}
    others = [row for row in targets if row.key not in accepted]
    handles = []
    if any(row.step in steps for row in others):
        handles.append(_diamond("contracted to a target", "white", 5, linestyle=(0, (4, 2)), linewidth=0.9))
    if any(row.step not in steps for row in others):
        handles.append(_diamond("best within a target", "white", 5, linestyle=""))
    if len(others) < len(targets):
        handles.append(_diamond("meets a target", "none", 8, linestyle=""))
    return handles


def _diamond(label: str, fill: str, size: float, **line: Any) -> Line2D:
    return Line2D([], [], color=INK, marker="D", markerfacecolor=fill, markersize=size, label=label, **line)
