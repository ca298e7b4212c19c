"""The figure of the expansion trace: the score against multiply-adds, with the accepted path and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expand.plots import captions
from expand.plots.labels import Label, place_labels
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent, log_scale
from expand.plots.style import FAINT, INK, axis_handles, label_of, look_of, new_figure, settle, start_name
from expand.run.record import Row, RunRecord, key_of, score_of
from expand.system.units import show_count
from expand.training.objectives import Chance

_TITLE = "Expansion trace"
# What a search counts, along the axis.
_COUNTS = {"macs": "multiply-adds per clip", "activations": "activations per clip"}


def trace(records: Sequence[RunRecord]) -> Figure:
    """Draw the expansion trace of a run, as figure 2 of the X3D paper."""
    (record,) = records
    title, measured = captions.title(record, _TITLE), record.measured
    if not measured:
        return captions.nothing(records, title, "No candidate has a score yet.")
    figure = new_figure(4.4, title)
    axes = figure.subplots()
    path, targets = record.path, record.targets
    _rejected(axes, record, measured)
    _path(axes, record, path)
    _targets(axes, record, path, targets)
    chance = record.chance
    if chance is not None:
        axes.axhline(chance.score, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    _frame(axes, record, measured, chance)
    _legend(axes, record, measured, targets)
    captions.caption(
        figure,
        captions.state(records),
        captions.metric(record),
        captions.COUNTED,
        captions.about(record),
        f"Dotted line: {chance.words}, {chance.score:.1%}." if chance is not None else "",
    )
    labels = [
        Label(
            x=_cost(record, row),
            y=_score(row),
            text=f"{start_name(record)}, {row['frames']}×{row['stride']}, {row['size']}²"
            if row["axis"] is None
            else label_of(row["axis"], record),
            bold=True,
        )
        for row in path
    ] + [
        Label(
            x=_cost(record, row),
            y=_score(row),
            text=f"target {record.setup.cost.short(row['target'])}",
        )
        for row in targets
    ]
    way = [_cost(record, row) for row in path], [_score(row) for row in path]
    settle(figure)
    place_labels(axes, labels, _kept_free(record, measured, targets), [way])
    return figure


def _cost(record: RunRecord, row: Row) -> int:
    """What the search counts of a network."""
    cost: int = row[record.setup.cost.name]
    return cost


def _score(row: Row) -> float:
    """Of a row that has one."""
    score = score_of(row)
    assert score is not None, "only candidates with a score are drawn"
    return score


def _kept_free(
    record: RunRecord, measured: Sequence[Row], targets: Sequence[Row]
) -> list[tuple[float, float]]:
    """Points, and their error bars as points along them."""
    points = []
    for row in (*measured, *targets):
        spread = score_of(row, "_std") or 0.0
        points += [(_cost(record, row), _score(row) + share * spread) for share in (-1, -0.5, 0, 0.5, 1)]
    return list(dict.fromkeys(points))


def _rejected(axes: Axes, record: RunRecord, rows: Sequence[Row]) -> None:
    for row in rows:
        if not row["accepted"]:
            look = look_of(row["axis"], record)
            _error(axes, record, row, look.colour, 0.35)
            axes.plot(
                _cost(record, row),
                _score(row),
                look.marker,
                color=look.colour,
                alpha=0.5,
                markersize=5,
                markeredgewidth=0,
                gid=mark_of("trace", row),
                zorder=2,
            )


def _path(axes: Axes, record: RunRecord, path: Sequence[Row]) -> None:
    axes.plot(
        [_cost(record, row) for row in path],
        [_score(row) for row in path],
        color=INK,
        linewidth=1.3,
        zorder=3,
    )
    for row in path:
        look = look_of(row["axis"], record)
        _error(axes, record, row, INK, 1.0)
        axes.plot(
            _cost(record, row),
            _score(row),
            look.marker,
            color=look.colour,
            markersize=7.5,
            markeredgecolor=INK,
            markeredgewidth=0.9,
            gid=mark_of("trace", row),
            zorder=5,
        )


def _targets(axes: Axes, record: RunRecord, path: Sequence[Row], targets: Sequence[Row]) -> None:
    """Draw a diamond for each target, with a dashed line from the state that was contracted."""
    accepted = {key_of(row) for row in path}
    for row in targets:
        own = key_of(row) not in accepted  # else a state meets the target as it is
        for grown in (state for state in path if own and state["step"] == row["step"]):
            axes.plot(
                [_cost(record, grown), _cost(record, row)],
                [_score(grown), _score(row)],
                color=INK,
                linewidth=0.9,
                linestyle=(0, (4, 2)),
                zorder=3,
            )
        _error(axes, record, row, INK, 1.0)
        look = look_of(row["axis"], record)
        axes.plot(
            _cost(record, row),
            _score(row),
            "D",
            markersize=6 if own else 11,
            markerfacecolor="white" if own else "none",
            markeredgecolor=look.colour if own else INK,
            markeredgewidth=1.4,
            gid=mark_of("trace", row),
            zorder=5,
        )


def _error(axes: Axes, record: RunRecord, row: Row, colour: str, alpha: float) -> None:
    spread = score_of(row, "_std")
    if spread is not None:
        axes.errorbar(
            _cost(record, row),
            _score(row),
            yerr=spread,
            color=colour,
            alpha=alpha,
            linewidth=0.9,
            capsize=2,
            capthick=0.9,
            zorder=2,
        )


def _frame(axes: Axes, record: RunRecord, rows: Sequence[Row], chance: Chance | None) -> None:
    """Limits with room for labels, a logarithmic axis of the cost, and the score in percent."""
    low, high = (
        min(_cost(record, row) for row in rows),
        max(_cost(record, row) for row in rows),
    )
    log_scale(axes, show_count, low / 1.35, high * 1.35, closest=0.08)
    spreads = [(_score(row), score_of(row, "_std") or 0.0) for row in rows]
    guess = [] if chance is None else [chance.score]
    bottom = min([*guess, *(score - spread for score, spread in spreads)])
    top = max([*guess, *(score + spread for score, spread in spreads)])
    room = max(0.02, 0.1 * (top - bottom))
    axes.set_ylim(max(0.0, bottom - room), min(1.0, top + room) if top < 1 else 1 + room)
    in_percent(axes.yaxis)
    axes.set_xlabel(_COUNTS.get(record.setup.cost.name, record.setup.cost.unit))
    axes.set_ylabel(f"{record.objective.words} on validation")


def _legend(axes: Axes, record: RunRecord, rows: Sequence[Row], targets: Sequence[Row]) -> None:
    handles = axis_handles(record, record.setup.axes, size=5)
    handles.append(Line2D([], [], color=INK, linewidth=1.3, label="accepted"))
    if any(not row["accepted"] for row in rows):
        faint = Line2D(
            [], [], color=FAINT, marker="o", linestyle="", alpha=0.5, markersize=5, label="not accepted"
        )
        handles.append(faint)
    if targets:
        handles.append(
            Line2D(
                [],
                [],
                color=INK,
                marker="D",
                markerfacecolor="white",
                linestyle=(0, (4, 2)),
                linewidth=0.9,
                markersize=5,
                label="contracted to a target",
            )
        )
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
