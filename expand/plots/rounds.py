"""The figure of rounds: a bar of the score for each candidate, with its seeds and its cost."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expand.plots import captions
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent
from expand.plots.style import FAINT, INK, is_control, is_growth, look_of, name_of, new_figure
from expand.run.record import RunRecord
from expand.run.rows import CandidateRow, StateRow, UngrownRow
from expand.system.units import show_points

_TITLE, _OTHER_TITLE = "What each axis gave", "What each candidate gave"
_COLUMNS = 2
_BAR = 0.68  # height of a bar as a share of the distance between bars
_SHORT = 28  # characters of a title beside which the unit of the costs has room


def rounds(records: Sequence[RunRecord]) -> Figure:
    """Draw a panel for each round, with a bar for each candidate."""
    (record,) = records
    panels = [panel for number in record.numbers if (panel := _rows(record, number))[0].kind != "start"]
    if not panels:
        return captions.nothing(records, captions.title(record, _TITLE), "No round is over yet.")
    grown = [panel for panel in panels if _grows(panel)]
    title = captions.title(record, _TITLE if grown else _OTHER_TITLE)
    columns = min(_COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    tallest = max(len(panel) for panel in panels)
    figure = new_figure(0.9 + lines * (0.55 + 0.24 * tallest), title)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    best = max((_furthest(row) for row in record.rounds), default=0.0) or 1.0
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, record, panel, best)
        axes.set_ylim(tallest - 0.45, -0.55)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1] if len(panels) % columns == 0 else [*grid[-1][:1], *grid[-2:-1, -1]]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(f"{record.objective.words} on validation")
    captions.caption(
        figure,
        captions.state(records),
        captions.metric(record),
        "Each dot is a seed." if record.config.search.seeds[1] > 1 else "",
        _line_is(record) if grown else "",
        "Outlined and bold: accepted.",
        "" if record.setup.cost.name == "macs" else f"Right of each score: the {record.setup.cost.unit}.",
        captions.counted(record),
        captions.about(record),
    )
    return figure


def _rows(record: RunRecord, number: int) -> list[CandidateRow | UngrownRow]:
    """Return the rows of a round: in the order of the axes where it grows along these, else by their cost."""
    rows: list[CandidateRow | UngrownRow] = [row for row in record.rounds if row.round == number]
    rows += [row for row in record.ungrown if row.round == number]
    if _grows(rows):
        order = [*record.setup.axes, None]  # the control comes last
        return sorted(rows, key=lambda row: order.index(_axis(row)))
    return sorted(rows, key=lambda row: row.network.cost if isinstance(row, CandidateRow) else 0)


def _grows(rows: Sequence[CandidateRow | UngrownRow]) -> bool:
    """Whether a round grows a network along axes, after which its candidates are called."""
    networks = [row.network for row in rows if isinstance(row, CandidateRow)]
    return all(is_growth(network) or is_control(network) for network in networks)


def _line_is(record: RunRecord) -> str:
    """Return what the dashed line of a panel is, for the caption."""
    if record.compared:
        return "Dashed line: the control, the grown network trained on for as long, and points above it."
    return "Dashed line: the network that was grown."


def _axis(row: CandidateRow | UngrownRow) -> str | None:
    return row.axis if isinstance(row, UngrownRow) else row.network.axis


def _panel(axes: Axes, record: RunRecord, panel: Sequence[CandidateRow | UngrownRow], best: float) -> None:
    kind, number = panel[0].kind, panel[0].round
    contraction = kind == "contraction"
    base = _base(record, number) if _grows(panel) else None
    title = f"round {number}: " + (kind if base is None else f"from {_named(record, base)}")
    axes.set_title(title)
    if record.setup.cost.name == "macs" and len(title) <= _SHORT:  # else there is no room beside it
        axes.set_title("MACs", loc="right", fontsize=7, fontweight="normal", color=FAINT)
    axes.grid(visible=False, axis="y")
    names = [_name(record, row) for row in panel]
    axes.set_yticks(range(len(panel)), names)
    for index, (row, label) in enumerate(zip(panel, axes.get_yticklabels(), strict=True)):
        if isinstance(row, UngrownRow):
            _no_bar(axes, record, row, index, best)
            continue
        if row.accepted and row.state == "done" and not contraction:
            label.set_fontweight("bold")
        _bar(axes, record, row, index, best)
    if base is not None:
        axes.axvline(_compared(base, panel), color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(0, _whole(record) * best)  # the right part is for scores and costs
    axes.set_xticks([tick for tick in _ticks(best) if tick <= best])
    in_percent(axes.xaxis)


def _no_bar(axes: Axes, record: RunRecord, row: UngrownRow, index: int, best: float) -> None:
    """Write why a round has no candidate along an axis."""
    search, unit = record.config.search, record.setup.cost.unit
    within = f"{search.step:g}×" if search.strategy == "expansion" else "the cost"
    within += "".join(f", {limit.cost.show(limit.amount)}" for limit in record.setup.problem.limits)
    why = f"no step within {within}" if row.why == "saturated" else f"changes no {unit}"
    _words(axes, f"{row.why}: {why}", index, best, FAINT)


def _words(axes: Axes, words: str, index: int, best: float, colour: str) -> None:
    axes.text(
        0.01 * best,
        index,
        textwrap.shorten(words, 46, placeholder=" …"),
        va="center",
        fontsize=7,
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _bar(axes: Axes, record: RunRecord, row: CandidateRow, index: int, best: float) -> None:
    look = look_of(row.network, record)
    beside = 1.04 * best
    if row.state == "failed":
        _words(axes, f"failed: {row.reason}", index, best, INK)
    elif row.state == "waiting":
        _words(axes, "waiting", index, best, FAINT)
    score = row.seeds.mean
    if score is not None:
        axes.barh(
            index,
            score,
            height=_BAR,
            color=look.colour,
            alpha=1.0 if row.accepted else 0.55,
            edgecolor=INK if row.accepted else "none",
            linewidth=1.0,
            gid=mark_of("rounds", row),
        )
        seeds = row.seeds.scores
        if len(seeds) > 1:
            axes.errorbar(score, index, xerr=row.seeds.deviation, color=INK, linewidth=0.9, capsize=2)
            axes.plot(seeds, [index] * len(seeds), "o", color="white", markeredgecolor=INK, markersize=3.2,
                      markeredgewidth=0.7, zorder=4)  # fmt: skip
        words = f"{score:.1%}" if row.gain is None else f"{score:.1%}  {show_points(row.gain)}"
        axes.text(beside, index, words, va="center", fontsize=7, color=INK,
                  fontweight="bold" if row.accepted else "normal")  # fmt: skip
    cost = record.setup.cost.show(row.network.cost)
    axes.text(_whole(record) * best, index, cost, va="center", ha="right", fontsize=7, color=FAINT)


def _furthest(row: CandidateRow) -> float:
    """Return the largest value among a row's bar, seeds and error bar."""
    seeds = row.seeds
    if seeds.mean is None:
        return 0.0
    return max(seeds.highest or 0.0, seeds.mean + (seeds.deviation or 0.0))


def _base(record: RunRecord, number: int) -> StateRow | None:
    """Return the accepted state that a round grew."""
    return next((row for row in record.path if row.step == number - 1), None)


def _whole(record: RunRecord) -> float:
    """Return the width of a panel as a multiple of its longest bar."""
    return 2.0 if record.compared else 1.62


def _compared(base: StateRow, panel: Sequence[CandidateRow | UngrownRow]) -> float:
    """Return the score that candidates are compared with: the control's, or else the grown network's own."""
    for row in panel:
        if isinstance(row, CandidateRow) and is_control(row.network) and row.seeds.mean is not None:
            return row.seeds.mean
    return base.score


def _named(record: RunRecord, base: StateRow) -> str:
    return f"{name_of(base.network, record)}, {record.setup.cost.show(base.network.cost)}"


def _name(record: RunRecord, row: CandidateRow | UngrownRow) -> str:
    return (
        name_of(row.network, record) if isinstance(row, CandidateRow) else record.setup.axes[row.axis].label
    )


def _ticks(best: float) -> list[float]:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if best / step <= 6)
    return [number * step for number in range(int(best / step) + 1)]
