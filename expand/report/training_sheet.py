"""The table of a full training's validations, for the terminal and the HTML page."""

from __future__ import annotations

from expand.full.record import TrainingRecord
from expand.full.scores import SCORES
from expand.report.sheets import Line, Sheet, share
from expand.system.units import show_seconds


def history_sheet(record: TrainingRecord) -> Sheet:
    """Return the table of a training's validations, in which the best one is bold."""
    rows, best = record.rows, record.best
    names = [name for name in SCORES if rows and f"val_{name}" in rows[0]]
    clips = ("train top-1",) if rows and "train_top1" in rows[0] else ()
    headings = ("epochs", "learning rate", "train loss", *clips, *(SCORES[name] for name in names), "time")
    lines = []
    for row in rows:
        cells = [f"{row['epochs']:.4g}", f"{row['learning_rate']:.3g}", f"{row['train_loss']:.3f}"]
        cells += [share(row["train_top1"]) for _ in clips]
        cells += [f"{row['val_loss']:.3f}" if name == "loss" else share(row[f"val_{name}"]) for name in names]
        cells.append(show_seconds(row["seconds"]))
        lines.append(Line("", tuple(cells), "bold" if row is best else ""))
    spare = ("learning rate", "train loss", "train top-1", "time", "loss", "top-5")
    return Sheet(headings, tuple(True for _ in headings), tuple(lines), spare=spare)
