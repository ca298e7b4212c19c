"""The figure of the frontier: the score against each cost for one run or more, beside published results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expand.plots import captions
from expand.plots.labels import Label, place_labels
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent, log_scale
from expand.plots.style import FAINT, INK, RUN_COLOURS, axis_handles, look_of, new_figure, settle
from expand.run.record import RunRecord
from expand.run.rows import CandidateRow, Measured
from expand.search.latency import LATENCY, LatencyCost
from expand.system.errors import UserError
from expand.system.units import show_count, show_milliseconds
from search_spaces.base import PublishedSeries, presentation_of

_TITLE = "Frontier"
_CLOSEST = 0.14  # the least distance of two ticks, as a share of a panel's width


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel against one kind of cost: its name, cost, label, and how values are written."""

    name: str
    cost: Callable[[Measured], float]
    label: str
    show: Callable[[float], str]


_PANELS = (
    Panel("macs", lambda row: row.network.macs, "multiply-adds per clip", show_count),
    Panel("params", lambda row: row.network.params, "parameters", show_count),
    Panel("activations", lambda row: row.network.activations, "activations per clip", show_count),
    Panel("latency", lambda row: row.seeds.latency or 0.0, "latency of one clip", show_milliseconds),
)


def frontier(records: Sequence[RunRecord]) -> Figure:
    """Draw a panel for each cost, with every measured candidate and the Pareto front.

    Raises:
        UserError: the runs were validated on different data, or scored in different ways.
    """
    _check_same_data(records)
    measured = [record.measured for record in records]
    title = captions.title(records[0], _TITLE) if len(records) == 1 else f"{_TITLE}: {len(records)} runs"
    if not any(measured):
        return captions.nothing(records, title, "No candidate has a score yet.")
    panels, published = _panels_of(records), _published_of(records)
    own = math.ceil(len(panels) / 2)
    lines = own + math.ceil(len(published) / 2)
    figure = new_figure(0.8 + 2.2 * lines, title)
    cells = figure.add_gridspec(1 + lines, 2, height_ratios=(0.04, *[1] * lines))
    top = figure.add_subplot(cells[0, :])
    top.set_axis_off()
    handles = _runs(records) if len(records) > 1 else _axes(records[0], measured[0])
    top.legend(handles=handles, loc="center left", ncols=7, columnspacing=1.2, handletextpad=0.3)
    grid = np.array(
        [[figure.add_subplot(cells[1 + line, column]) for column in (0, 1)] for line in range(lines)]
    )
    costs = list(zip(grid[:own].flat, panels, strict=False))
    for axes, panel in costs:
        _draw(axes, records, measured, panel)
    captions.caption(
        figure,
        captions.state(records),
        "Each point is a candidate; the line: those that no other beats at their cost; diamonds: targets.",
        *dict.fromkeys(captions.metric(record, bars=False) for record in records),
        captions.MACS_ARE,
        "Activations: elements of these layers' outputs for one clip.",
        _measured_on(records),
        *dict.fromkeys(captions.about(record) for record in records),
        *dict.fromkeys(series.source for series in published),
    )
    apart = list(zip(grid[own:].flat, published, strict=False))
    for axes, series in apart:
        _draw_published(axes, series, published)
    for axes in (*grid[:own].flat[len(panels) :], *grid[own:].flat[len(published) :]):
        axes.set_visible(False)
    settle(figure)
    for axes, series in apart:
        _name_published(axes, series)
    for axes, panel in costs:
        _name_targets(axes, records, measured, panel)
    return figure


def _panels_of(records: Sequence[RunRecord]) -> tuple[Panel, ...]:
    """Return the panels of every run, and one of the cost that the runs limit, if it is another."""
    predicted = _predicted(records)
    if predicted is not None:
        return (predicted, *_PANELS)
    limited = {record.setup.cost.name: record.setup.cost for record in records}
    name, cost = next(iter(limited.items()))
    if len(limited) > 1 or any(panel.name == name for panel in _PANELS):
        return _PANELS
    return (Panel(name, lambda row: row.network.cost, cost.unit, cost.show), *_PANELS)


def _predicted(records: Sequence[RunRecord]) -> Panel | None:
    """Return a panel of what a profile predicts for the networks of all runs; None: they have none."""
    found = [record.config.search.profile for record in records if record.config.search.profile is not None]
    spaces = {record.config.space.name for record in records}
    if not found or len(spaces) > 1 or any(one != found[0] for one in found):
        return None
    profile, setup = found[0], records[0].setup
    cost, classes = LatencyCost(profile.pace), len(setup.data.classes)
    return Panel(
        LATENCY,
        lambda row: cost.value(setup.space, row.network.point, classes),
        f"predicted latency, {profile.words}",
        cost.show,
    )


def pareto(rows: Sequence[CandidateRow], cost: Callable[[Measured], float]) -> list[CandidateRow]:
    """Return the Pareto front of the score against a cost, by rising cost."""
    front: list[CandidateRow] = []
    for row in sorted(rows, key=lambda row: (cost(row), -row.score)):
        if not front or row.score > front[-1].score:
            front.append(row)
    return front


def _check_same_data(records: Sequence[RunRecord]) -> None:
    first = records[0]
    for record in records[1:]:
        if record.data.checksum != first.data.checksum:
            raise UserError(
                f"runs in one figure must share their videos, but {first.folder} has {first.data.name} "
                f"(checksum {first.data.checksum[:12]}) and {record.folder} {record.data.name} (checksum "
                f"{record.data.checksum[:12]}): plot each on its own."
            )
        if record.objective.name != first.objective.name:
            raise UserError(
                f"runs in one figure must have one search.objective, but {first.folder} has "
                f"{first.objective.name} and {record.folder} {record.objective.name}: plot each on its own."
            )


def _draw(
    axes: Axes, records: Sequence[RunRecord], measured: Sequence[Sequence[CandidateRow]], panel: Panel
) -> None:
    several = len(records) > 1
    for number, (record, rows) in enumerate(zip(records, measured, strict=True)):
        colour = _colour(number)
        for row in rows:
            look = look_of(row.network, record)
            axes.plot(
                panel.cost(row),
                row.score,
                look.marker,
                color=colour if several else look.colour,
                alpha=0.6,
                markersize=4.5,
                markeredgewidth=0,
                gid=None if several else mark_of("frontier", row, part=f"-{panel.name}"),
                zorder=3,
            )
        front = pareto(rows, panel.cost)
        axes.step(
            [panel.cost(row) for row in front],
            [row.score for row in front],
            where="post",
            color=colour,
            linewidth=1.1,
            zorder=2,
        )
        for target in record.targets:
            axes.plot(panel.cost(target), target.score, "D", markersize=6, markerfacecolor="none",
                      markeredgecolor=colour, markeredgewidth=1.2, zorder=4)  # fmt: skip
    values = [panel.cost(row) for rows in measured for row in rows]
    log_scale(axes, panel.show, min(values) / 1.25, max(values) * 1.25, closest=_CLOSEST)
    in_percent(axes.yaxis)
    axes.set_xlabel(panel.label)
    axes.set_ylabel(f"{records[0].objective.words} on validation")
    axes.margins(y=0.12)


def _name_targets(
    axes: Axes, records: Sequence[RunRecord], measured: Sequence[Sequence[CandidateRow]], panel: Panel
) -> None:
    labels = [
        Label(
            x=panel.cost(row),
            y=row.score,
            text=record.setup.cost.short(row.target),
            colour=_colour(number),
        )
        for number, record in enumerate(records)
        for row in record.targets
    ]
    points = [(panel.cost(row), row.score) for rows in measured for row in rows]
    place_labels(axes, labels, points, [_corners(pareto(rows, panel.cost), panel.cost) for rows in measured])


def _corners(
    front: Sequence[CandidateRow], cost: Callable[[Measured], float]
) -> tuple[list[float], list[float]]:
    """Return the x and y of the corners of a front's step line, which goes right, then up."""
    xs = [cost(row) for row in front for _ in (0, 1)]
    ys = [row.score for row in front for _ in (0, 1)]
    return xs[1:], ys[:-1]


def _axes(record: RunRecord, rows: Sequence[CandidateRow]) -> list[Line2D]:
    """Make legend entries for what the measured candidates are."""
    return axis_handles({row.key for row in rows}, record, size=4.5)


def _runs(records: Sequence[RunRecord]) -> list[Line2D]:
    """Make legend entries for the runs."""
    return [
        Line2D([], [], color=_colour(number), marker="o", markersize=4, label=record.folder.name)
        for number, record in enumerate(records)
    ]


def _colour(number: int) -> str:
    return RUN_COLOURS[number % len(RUN_COLOURS)]


def _measured_on(records: Sequence[RunRecord]) -> str:
    """Describe the devices on which latencies were measured."""
    devices = dict.fromkeys(
        f"{found.device} with {found.threads} thread{'s' * (found.threads != 1)} ({found.host})"
        for record in records
        for trial in record.trials
        if (found := trial.measurement) is not None
    )
    return (
        f"Latency: fastest forward pass of one clip, measured on {', '.join(devices)}, while others trained."
    )


def _published_of(records: Sequence[RunRecord]) -> tuple[PublishedSeries, ...]:
    """Return the published results of the runs' space; none for runs of several spaces."""
    first, *others = [presentation_of(record.setup.space).published for record in records]
    return first if all(other == first for other in others) else ()


def _draw_published(axes: Axes, series: PublishedSeries, every: Sequence[PublishedSeries]) -> None:
    """Draw published networks alone, in a panel of their own, whose limits hold all series."""
    axes.plot(
        list(series.macs.values()),
        list(series.top1.values()),
        "-h",
        color=FAINT,
        linewidth=0.9,
        markersize=5,
        markerfacecolor="white",
        markeredgecolor=INK,
    )
    axes.set_title(f"published: {series.title}")
    scores = [score for one in every for score in one.top1.values()]
    room = 0.17 * (max(scores) - min(scores))
    axes.set_ylim(min(scores) - room, max(scores) + room)
    macs = [count for one in every for count in one.macs.values()]
    log_scale(axes, show_count, min(macs) / 1.5, max(macs) * 1.25, closest=_CLOSEST)
    in_percent(axes.yaxis)
    axes.set_xlabel("multiply-adds per view")
    axes.set_ylabel("top-1")


def _name_published(axes: Axes, series: PublishedSeries) -> None:
    points = [(float(series.macs[name]), top1) for name, top1 in series.top1.items()]
    labels = [
        Label(x=macs, y=top1, text=name.upper())
        for name, (macs, top1) in zip(series.top1, points, strict=True)
    ]
    line = [macs for macs, _ in points], [top1 for _, top1 in points]
    place_labels(axes, labels, points, [line])
