"""The figure of ways of searching on a table: regret against what was spent, and who is ahead."""

from __future__ import annotations

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


def regret_figure(verdict: Verdict, target: str) -> Figure:
    """Draw what each way of searching lacks of the best network, after what it has spent.

    Args:
        verdict: the judged replays.
        target: the target in a few letters, such as `20M`.
    """
    figure = new_figure(3.8, f"Regret for what was spent: target {target}, on a table")
    axes = figure.subplots()
    grid = verdict.grid()
    expansions = [name for name in verdict.climbs if not CONTENDERS[name].budgeted]
    rivals = [name for name in verdict.climbs if CONTENDERS[name].budgeted]
    for number, name in enumerate(expansions):
        _curve(axes, verdict, name, RUN_COLOURS[0], _DASHES[number % len(_DASHES)], grid)
    for number, name in enumerate(rivals):
        _curve(axes, verdict, name, RUN_COLOURS[1 + number % (len(RUN_COLOURS) - 1)], "-", grid)
    log_scale(axes, show_count, grid[0], grid[-1] * 1.05, closest=0.12)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    in_percent(axes.yaxis)
    axes.set_xlabel("multiply-adds trained")
    axes.set_ylabel("top-1 below the best network's")
    axes.legend(loc="upper right")
    replays = len(next(iter(verdict.climbs.values())))
    captions.caption(
        figure,
        f"Lines: means over {replays} replays; bands and bars: a standard error, with the luck of seeds and "
        "of validation videos. What is found is judged by seeds that no search saw, against the network that "
        "all seeds which searches saw say is the best. Expansions end where their dot is.",
    )
    return figure


def _curve(axes: Axes, verdict: Verdict, name: str, colour: str, dashes: str, grid: list[float]) -> None:
    """Draw the mean regret of a contender, from where all replays have found something."""
    end = verdict.spent(name)
    known = [
        (spent, regret)
        for spent in grid
        if spent <= end and (regret := verdict.regret(name, spent)) is not None
    ]
    last = verdict.regret(name)
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
