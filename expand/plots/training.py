"""The figure of a full training: loss, score and learning rate by epochs, and its best validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expand.full.best import Validation
from expand.full.record import TrainingRecord, read_training
from expand.plots.captions import caption
from expand.plots.figures import styled, write_drawn
from expand.plots.scales import in_percent
from expand.plots.style import FAINT, INK, RUN_COLOURS, empty_figure, new_figure
from expand.training.schedule import released_factor

NAME = "training"  # of its files
_HEIGHTS = (2.0, 2.0, 0.9)  # of the panels, in inches
_CLIPS, _VIDEOS = RUN_COLOURS[1], RUN_COLOURS[2]  # colours: of training clips, and of validation videos
_POINTS = 400  # of the curve of the learning rate


def write_training(folder: Path, out: Path) -> list[Path]:
    """Write the figure of a training, finished or not, as PNG, SVG and PDF into `out`.

    Raises:
        UserError: the training cannot be read, or the folder cannot be written.
    """
    return write_drawn({NAME: draw_training(read_training(folder))}, out)


def draw_training(record: TrainingRecord) -> Figure:
    """The figure of a training, in the style of all figures."""
    return styled(lambda: _draw(record))


def _draw(record: TrainingRecord) -> Figure:
    title = f"Training: {record.name}" + ("" if record.finished else " (unfinished)")
    best = record.best
    if best is None:
        return empty_figure(title, f"There is no validation yet. {record.state}")
    figure = new_figure(sum(_HEIGHTS) + 1.0, title)
    loss, score, rate = figure.subplots(3, 1, sharex=True, height_ratios=_HEIGHTS)
    _curves(loss, record.rows, "train_loss", "val_loss")
    loss.set_ylabel("loss (nats)")
    loss.set_ylim(bottom=0)
    _curves(score, record.rows, "train_top1", f"val_{record.score}")
    score.set_ylabel(record.score_words)
    in_percent(score.yaxis)
    _rate(rate, record)
    words = f"best: epoch {best['epochs']:g}, {record.score_words} {best[f'val_{record.score}']:.1%}"
    _mark_best((loss, score, rate), best, f"val_{record.score}", words)
    rate.set_xlabel("epochs")
    rate.set_xlim(0, 1.01 * record.done)  # with room for the last marks
    rate.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=record.done > 2))
    caption(figure, record.state, _about(record), _kept(record))
    return figure


def _curves(axes: Axes, rows: Sequence[Validation], clips: str, videos: str) -> None:
    """Draw the values of training clips and of validation videos, as far as the rows have them."""
    for name, label, colour, marker in (
        (clips, "training clips", _CLIPS, "o"),
        (videos, "validation videos", _VIDEOS, "s"),
    ):
        known = [row for row in rows if name in row]
        if known:
            epochs, values = [row["epochs"] for row in known], [row[name] for row in known]
            axes.plot(epochs, values, color=colour, marker=marker, ms=2.5, lw=1.2, label=label)


def _rate(axes: Axes, record: TrainingRecord) -> None:
    """Draw the learning rate: as the recipe has it or, of multigrid, as it was at the validations."""
    recipe = record.recipe.training
    if recipe.multigrid:
        epochs = [row["epochs"] for row in record.rows]
        rates = [row["learning_rate"] for row in record.rows]
        axes.plot(epochs, rates, color=INK, marker=".", ms=5, ls="")  # in between it rises and falls
    else:
        shares = np.linspace(0, record.done / recipe.epochs, _POINTS)
        factors = [released_factor(share, recipe.warmup, recipe.warmup_start) for share in shares]
        axes.plot(shares * recipe.epochs, recipe.peak * np.array(factors), color=INK, lw=1.0)
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))


def _mark_best(panels: Sequence[Axes], best: Validation, name: str, words: str) -> None:
    """Mark the epoch of the best validation in all panels, and its score."""
    for axes in panels:
        axes.axvline(best["epochs"], color=FAINT, ls=":", lw=0.9, zorder=0)
    panels[1].plot(
        best["epochs"], best[name], marker="*", ms=9, color=_VIDEOS, mec=INK, mew=0.6, ls="", label=words
    )
    handles, labels = panels[0].get_legend_handles_labels()
    star, word = panels[1].get_legend_handles_labels()
    # Above all panels, where it covers no curve.
    panels[0].legend(
        [*handles, star[-1]], [*labels, word[-1]], loc="lower right", bbox_to_anchor=(1, 1), ncols=3,
        borderaxespad=0.2,
    )  # fmt: skip


def _about(record: TrainingRecord) -> str:
    data, recipe = record.data, record.recipe.training
    return (
        f"Data: {data['name']}, {data['train']:,} training and {data['val']:,} validation videos, "
        f"{len(data['classes'])} classes. {recipe.batch_size} clips in a step. Each point of training clips "
        "is their mean since the last validation: they are augmented, and seen while the weights change. "
        "Validation: one centre clip a video."
    )


def _kept(record: TrainingRecord) -> str:
    kept = record.kept
    if not record.finished or kept is None:
        return ""
    which = "best" if record.recipe.training.keep == "best" else "last"
    return f"The trained network has the weights of the {which} validation, at epoch {kept['epochs']:g}."
