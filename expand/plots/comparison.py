"""The figure of a comparison: what searches had found after what they had spent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expand.plots import captions
from expand.plots.scales import in_percent, log_scale
from expand.plots.style import RUN_COLOURS, new_figure
from expand.run.comparison import Comparison, Entrant, compare
from expand.run.record import RunRecord
from expand.system.units import show_count

_POINTS = 400  # at which the mean and the band of an entrant are worked out


def comparison(records: Sequence[RunRecord]) -> Figure:
    """Draw the best score so far against multiply-adds trained, and what was found.

    Raises:
        UserError: the runs cannot be compared.
    """
    found = compare(records)
    figure = new_figure(3.6, f"Best score for what was spent: target {found.target_name}")
    axes, right = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    lowest = min(climb.spent[0] for entrant in found.entrants for climb in entrant.climbs)
    highest = max(climb.spent[-1] for entrant in found.entrants for climb in entrant.climbs)
    for number, entrant in enumerate(found.entrants):
        _draw(axes, entrant, RUN_COLOURS[number % len(RUN_COLOURS)], highest)
    log_scale(axes, show_count, lowest / 1.2, highest * 1.2, closest=0.14)
    in_percent(axes.yaxis)
    axes.set_xlabel("multiply-adds trained")
    axes.set_ylabel(f"best {found.words} on validation so far")
    axes.legend(loc="lower right")
    _found(right, found)
    captions.caption(
        figure,
        "Left: lines are means over runs with other seeds, thin lines single runs, the band goes from the "
        "lowest to the highest. A candidate counts when all its trainings are made, be it best by chance. "
        f"Right: {found.words} of the network that each run found"
        f"{', with fresh seeds' if found.fresh else ''}; bars: means.",
        *dict.fromkeys(captions.about(record) for record in records),
    )
    return figure


def _draw(axes: Axes, entrant: Entrant, colour: str, end: float) -> None:
    """Draw each run as a step line, and over them their mean and band, where all have a score."""
    climbs = entrant.climbs
    label = f"{entrant.name}, {len(climbs)} run{'s' * (len(climbs) != 1)}"
    single = len(climbs) == 1
    for climb in climbs:
        axes.step(
            [*climb.spent, end],
            [*climb.best, climb.best[-1]],
            where="post",
            color=colour,
            linewidth=1.5 if single else 0.5,
            alpha=1.0 if single else 0.5,
            label=label if single else None,
            zorder=3,
        )
        axes.plot(climb.spent[-1], climb.best[-1], "o", color=colour, markersize=4, zorder=4)
    if single:
        return
    first = max(climb.spent[0] for climb in climbs)
    spent = np.geomspace(first, end, _POINTS)
    scores = np.array([[climb.at(one) for one in spent] for climb in climbs], dtype=np.float64)
    axes.fill_between(spent, scores.min(axis=0), scores.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axes.plot(spent, scores.mean(axis=0), color=colour, linewidth=1.5, label=label, zorder=3)


def _found(axes: Axes, found: Comparison) -> None:
    """Draw what each run found as a dot, and their means as bars."""
    for place, entrant in enumerate(found.entrants):
        colour = RUN_COLOURS[place % len(RUN_COLOURS)]
        axes.plot([place] * len(entrant.climbs), entrant.founds, "o", color=colour, markersize=4, zorder=3)
        axes.plot([place - 0.3, place + 0.3], [entrant.found] * 2, color=colour, linewidth=1.5, zorder=3)
    axes.set_xlim(-0.6, len(found.entrants) - 0.4)
    axes.set_xticks([])
    axes.set_title("found")
