"""The figure of ways of searching on a table: regret against what was spent."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expand.bench.table.contenders import CONTENDERS
from expand.bench.table.verdict import Verdict
from expand.plots import captions
from expand.plots.scales import in_percent, log_scale
from expand.plots.style import RUN_COLOURS, new_figure
from expand.system.units import show_count

_DASHES = ("-", "--", "-.", ":")
_EXPANSIONS = {"scratch": RUN_COLOURS[0], "grown": RUN_COLOURS[1]}  # colours, by how candidates are trained


def regret_figure(verdict: Verdict, target: str) -> Figure:
    """Draw regret against what was spent: judged by short trainings, and by long ones if all are known.

    Args:
        verdict: the judged replays.
        target: the target in a few letters, such as `20M`.
    """
    long = all(verdict.regret(name, at_length=True) is not None for name in verdict.climbs)
    figure = new_figure(3.8, f"Regret for what was spent: target {target}, on a table")
    panels = figure.subplots(1, 2 if long else 1, squeeze=False)[0]
    _panel(panels[0], verdict, "short trainings", at_length=False)
    if long:
        _panel(panels[1], verdict, "long trainings", at_length=True)
        panels[1].set_ylabel("")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    replays = len(next(iter(verdict.climbs.values())))
    captions.caption(
        figure,
        f"Lines: means over {replays} replays; bands and bars: a standard error, with the luck of seeds and "
        "of validation videos. What is found is judged by trainings that no search saw, against the best "
        "network of the table. Expansions end where their dot is.",
    )
    return figure


def _panel(axes: Axes, verdict: Verdict, judged_by: str, *, at_length: bool) -> None:
    """Draw a curve for each contender: expansions in two colours, by how they train; then the others."""
    grid = verdict.grid()
    dashes_left = {way: cycle(_DASHES) for way in _EXPANSIONS}
    colours_left = cycle(RUN_COLOURS[len(_EXPANSIONS) :])
    for name in verdict.climbs:
        contender = CONTENDERS[name]
        if contender.budgeted:
            colour, dashes = next(colours_left), "-"
        else:
            colour, dashes = _EXPANSIONS[contender.way], next(dashes_left[contender.way])
        _curve(axes, verdict, name, colour, dashes, grid, at_length=at_length)
    log_scale(axes, show_count, grid[0], grid[-1] * 1.05, closest=0.12)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    in_percent(axes.yaxis)
    axes.set_xlabel("multiply-adds trained")
    axes.set_ylabel("top-1 below the best network's")
    axes.set_title(f"by {judged_by}", fontsize="medium", loc="left")


def _curve(
    axes: Axes, verdict: Verdict, name: str, colour: str, dashes: str, grid: list[float], *, at_length: bool
) -> None:
    """Draw the mean regret of a contender, from where all replays have found something."""
    end = verdict.spent(name)
    known = [
        (spent, regret)
        for spent in grid
        if spent <= end and (regret := verdict.regret(name, spent, at_length=at_length)) is not None
    ]
    last = verdict.regret(name, at_length=at_length)
    assert last is not None, "every replay has found something in the end"
    known.append((end, last))
    spent = np.array([one for one, _ in known])
    mean = np.array([regret.mean for _, regret in known])
    error = np.array([regret.error for _, regret in known])
    axes.plot(spent, mean, color=colour, linestyle=dashes, linewidth=1.4, label=name, zorder=3)
    if CONTENDERS[name].budgeted:
        axes.fill_between(spent, mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)
    else:
        axes.errorbar(end, mean[-1], error[-1], fmt="o", color=colour, markersize=4, linewidth=1, zorder=4)
