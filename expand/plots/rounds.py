"""The figure of rounds: a bar of the score for each candidate, with its seeds and its cost."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expand.plots import captions
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent
from expand.plots.style import FAINT, INK, label_of, look_of, new_figure
from expand.run.record import UNGROWN, Row, RunRecord, score_of
from expand.system.units import show_count

_TITLE = "What each axis gave"
_COLUMNS = 2
_BAR = 0.68  # height of a bar as a share of the distance between bars


def rounds(records: Sequence[RunRecord]) -> Figure:
    """Draw a panel for each round, with a bar for each candidate."""
    (record,) = records
    panels = [
        sorted((row for row in record.rounds if row["round"] == number), key=_order_in(record))
        for number in dict.fromkeys(row["round"] for row in record.rounds if row["kind"] != "start")
    ]
    title = captions.title(record, _TITLE)
    if not panels:
        return captions.nothing(records, title, "No round is over yet.")
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
        "Each dot is a seed." if record.config.search.seeds > 1 else "",
        "Dashed line: the network that was grown. Outlined and bold: accepted.",
        captions.COUNTED,
        captions.about(record),
    )
    return figure


def _order_in(record: RunRecord) -> Callable[[Row], int]:
    """Return the sort key of a round's rows: candidates by their axis, targets by their cost."""
    axes = list(record.setup.axes)
    return lambda row: axes.index(row["axis"]) if row["kind"] == "expansion" else row["macs"]


def _panel(axes: Axes, record: RunRecord, panel: Sequence[Row], best: float) -> None:
    kind = panel[0]["kind"]
    contraction = kind == "contraction"
    bases = _bases(record, panel) if kind == "expansion" else []
    axes.set_title(
        f"round {panel[0]['round']}: " + (f"from {_named(record, bases)}" if kind == "expansion" else kind)
    )
    axes.set_title("MACs", loc="right", fontsize=7, fontweight="normal", color=FAINT)
    axes.grid(visible=False, axis="y")
    names = [_name(record, row) for row in panel]
    axes.set_yticks(range(len(panel)), names)
    for index, (row, label) in enumerate(zip(panel, axes.get_yticklabels(), strict=True)):
        if row["accepted"] and row["state"] == "done" and not contraction:
            label.set_fontweight("bold")
        _bar(axes, record, row, index, best)
    base = score_of(bases[0]) if bases else None
    if base is not None:
        axes.axvline(base, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(0, 1.62 * best)  # the right third is for the costs
    axes.set_xticks([tick for tick in _ticks(best) if tick <= best])
    in_percent(axes.xaxis)


def _bar(axes: Axes, record: RunRecord, row: Row, index: int, best: float) -> None:
    look = look_of(row["axis"], record)
    beside = 1.04 * best
    if row["state"] in (*UNGROWN, "failed", "waiting"):
        words = row["state"] if row["state"] != "failed" else f"failed: {row['reason']}"
        if row["state"] == "saturated":
            words = f"saturated: no step within {record.config.search.step:g}×"
        elif row["state"] == "free":
            words = f"free: changes no {record.setup.cost.unit}"
        axes.text(
            0.01 * best,
            index,
            textwrap.shorten(words, 46, placeholder=" …"),
            va="center",
            fontsize=7,
            color=INK if row["state"] == "failed" else FAINT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
        if row["state"] in UNGROWN:
            return
    score = score_of(row)
    if score is not None:
        axes.barh(
            index,
            score,
            height=_BAR,
            color=look.colour,
            alpha=1.0 if row["accepted"] else 0.55,
            edgecolor=INK if row["accepted"] else "none",
            linewidth=1.0,
            gid=mark_of("rounds", row),
        )
        seeds = record.seeds_of(row)
        if len(seeds) > 1:
            axes.errorbar(score, index, xerr=score_of(row, "_std"), color=INK, linewidth=0.9, capsize=2)
            axes.plot(seeds, [index] * len(seeds), "o", color="white", markeredgecolor=INK, markersize=3.2,
                      markeredgewidth=0.7, zorder=4)  # fmt: skip
        words = f"{score:.1%}"
        axes.text(beside, index, words, va="center", fontsize=7, color=INK,
                  fontweight="bold" if row["accepted"] else "normal")  # fmt: skip
    axes.text(1.62 * best, index, show_count(row["macs"]), va="center", ha="right", fontsize=7, color=FAINT)


def _furthest(row: Row) -> float:
    """Return the largest value among a row's bar, seeds and error bar."""
    score = score_of(row)
    if score is None:
        return 0.0
    return max(score_of(row, "_max") or 0.0, score + (score_of(row, "_std") or 0.0))


def _bases(record: RunRecord, panel: Sequence[Row]) -> list[Row]:
    """Return the accepted state that a round grew, as a list of at most one."""
    return [row for row in record.path if row["step"] == panel[0]["round"] - 1]


def _named(record: RunRecord, bases: Sequence[Row]) -> str:
    if not bases:
        return "the state before"
    return f"{label_of(bases[0]['axis'], record)}, {show_count(bases[0]['macs'])}"


def _name(record: RunRecord, row: Row) -> str:
    return record.setup.axes[row["axis"]].label if row["kind"] == "expansion" else row["candidate"]


def _ticks(best: float) -> list[float]:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if best / step <= 6)
    return [number * step for number in range(int(best / step) + 1)]
