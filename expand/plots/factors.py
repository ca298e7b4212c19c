"""The figure of factors: how each factor grew along the trajectory, with the resulting whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from expand.plots import captions
from expand.plots.marks import mark_of
from expand.plots.style import FAINT, INK, WIDTH, axis_look, is_start, name_of, new_figure, start_name
from expand.run.record import RunRecord
from expand.run.rows import StateRow, TargetRow
from search_spaces.base import presentation_of

_TITLE, _OTHER_TITLE = "How the factors grew", "Factors of the networks found"
_STEP = 0.88  # inches between two states
_CLOSEST = 1.2  # the least quotient of two ticks
_LONGEST = 17  # the most characters of a label over a state


def factors(records: Sequence[RunRecord]) -> Figure:
    """Draw a panel for each factor, with the accepted states and then the targets from left to right."""
    (record,) = records
    states = [row for row in record.trajectory if row.seeds.mean is not None]
    title = captions.title(record, _TITLE if record.path or not record.targets else _OTHER_TITLE)
    if not states:
        return captions.nothing(records, title, "No network is accepted yet.")
    names = [name for name in states[0].network.factors if _grows(name, states)]
    width = max(WIDTH, 1.0 + _STEP * len(states))
    figure = new_figure(1.1 + 0.82 * len(names), title, width)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        _panel(axes, record, states, name)
    panels[-1].set_xticks(range(len(states)), [_tick(record, row) for row in states])
    panels[-1].set_xlim(-0.55, len(states) - 0.45)
    captions.caption(
        figure,
        captions.state(records),
        presentation_of(record.setup.space).factors,
        _right_of_the_path(record) if record.path else "",
        captions.about(record),
    )
    return figure


def _grows(name: str, rows: Sequence[StateRow | TargetRow]) -> bool:
    """Whether a factor's values fit a logarithmic scale, as spaces may have factors that are not numbers."""
    values = [row.network.factors[name] for row in rows]
    return all(isinstance(value, int | float) and value > 0 for value in values)


def _panel(axes: Axes, record: RunRecord, rows: Sequence[StateRow | TargetRow], name: str) -> None:
    symbol = presentation_of(record.setup.space).symbols.get(name)
    colour = axis_look(symbol.axis, record).colour if symbol is not None else INK
    path = [row for row in rows if isinstance(row, StateRow)]
    values = [row.network.factors[name] for row in rows]
    axes.plot(range(len(path)), values[: len(path)], color=colour, linewidth=1.4, zorder=2)
    words = [record.became(row.network)[name] for row in rows]
    for index, (row, value) in enumerate(zip(rows, values, strict=True)):
        target = isinstance(row, TargetRow)
        axes.plot(
            index,
            value,
            "D" if target else "o",
            color=colour,
            markerfacecolor="white" if target else colour,
            markeredgewidth=1.2,
            markersize=5 if target else 4.5,
            zorder=3,
            gid=mark_of("factors", row, part=f"-{name}"),
        )
    changed = [True, *(before != after for before, after in pairwise(words))]
    for index, (value, text, new) in enumerate(zip(values, words, changed, strict=True)):
        axes.annotate(
            _short(text) if new else "",
            (index, value),
            (0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            color=INK,
        )
    low, high = min(values), max(values)
    span = max(high / low, 1.5)
    axes.set_yscale("log")
    axes.set_ylim(low / span**0.3, low * span**1.8)
    ticks = [low, high] if high / low > _CLOSEST else [low]
    axes.set_yticks(ticks, [f"{value:.3g}" for value in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    label = name if symbol is None else f"{symbol.text}\n{name}"
    axes.set_ylabel(label, rotation=0, ha="right", va="center", color=colour, fontweight="bold")
    if 0 < len(path) < len(rows):
        axes.axvline(len(path) - 0.5, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)))


def _right_of_the_path(record: RunRecord) -> str:
    met = "contracted to" if record.config.search.strategy == "expansion" else "met by"
    return f"Right of the last step: what each target was {met}."


def _short(text: str) -> str:
    """Shorten a long list to its first and last element."""
    parts = text.split(", ")
    return text if len(text) <= _LONGEST or len(parts) < 4 else f"{parts[0]}, … {parts[-1]}"


def _tick(record: RunRecord, row: StateRow | TargetRow) -> str:
    if isinstance(row, TargetRow):
        return f"target\n{record.setup.cost.short(row.target)}"
    if is_start(row.network):
        return f"{start_name(record)}\n"
    return f"{row.step}\n{name_of(row.network, record)}"
