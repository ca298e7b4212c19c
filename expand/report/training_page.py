"""Writes a full training as one HTML page without further files: its figure, its validations, its recipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from expand.config.base import to_yaml
from expand.full.record import TrainingRecord, read_training
from expand.plots.training import NAME, draw_training
from expand.report.html import fill, inline, write_page
from expand.report.page import REPORT
from expand.report.sheets import share
from expand.report.training_sheet import history_sheet
from expand.system.escaping import visible_line
from expand.system.units import show_count, show_seconds


def write_training_report(folder: Path, file: Path | None = None) -> Path:
    """Write the page of a training, finished or not; by default into its folder, as report.html.

    Raises:
        UserError: the training cannot be read, or the file cannot be written.
    """
    return write_page(file or folder / REPORT, render_training(read_training(folder)))


def render_training(record: TrainingRecord) -> str:
    """Return the page of a training as HTML."""
    return fill(
        "training.html",
        name=record.name,
        facts=list(_facts(record)),
        state=record.state,
        figure=(NAME, inline(draw_training(record), NAME)),
        sheet=history_sheet(record),
        config=to_yaml(record.recipe),
    )


def _facts(record: TrainingRecord) -> Iterator[tuple[str, str]]:
    """Yield the facts of a training, as (name, text)."""
    data, network, recipe = record.data, record.network, record.recipe.training
    costs = network.space.complexity(network.architecture, len(network.classes))
    yield "data", f"{data['name']}: {data['train']:,} training and {data['val']:,} validation videos"
    yield "classes", visible_line(", ".join(data["classes"]))
    yield (
        "network",
        f"{network.name}: {show_count(costs.macs)} multiply-adds a clip, {show_count(costs.params)} "
        f"parameters, clips of {network.sampling}",
    )
    yield (
        "recipe",
        f"{recipe.recipe}: {recipe.epochs:g} epochs, {recipe.batch_size} clips in a step, learning rate up "
        f"to {recipe.peak:.3g}, dropout {recipe.dropout:g}{', multigrid' * recipe.multigrid}",
    )
    if record.kept is not None and record.best is not None:
        best, kept = record.best, record.kept
        words, score = record.score_words, f"val_{record.score}"
        yield "best validation", f"epoch {best['epochs']:g}: {words} {share(best[score])}"
        of = "weights" if record.finished else "weights so far"
        yield of, f"of epoch {kept['epochs']:g}: {words} {share(kept[score])} (training.keep: {recipe.keep})"
        yield "trained", f"{record.done:g} epochs in {show_seconds(record.rows[-1]['seconds'])}"
