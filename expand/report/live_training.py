"""Shows a full training: its schedule first, then its step, loss, validation scores and time left.

On a terminal it is a line that is refreshed in place; elsewhere a new line every minute. Both print a line
for each validation.
"""

from __future__ import annotations

import math
import time

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from expand.config.full import Recipe
from expand.full.best import Validation
from expand.full.scores import SCORES
from expand.full.steps import learning_rate
from expand.jobs.job import TrainingProgress
from expand.report.live import LiveView
from expand.system.units import show_seconds
from expand.training.schedule import Phase, Schedule

_EVERY = 60.0  # seconds between two lines of progress without a terminal


_PARTS = 1000  # of a phase, at whose ends learning rates are looked at


class TrainingView(LiveView):
    """A TrainingDisplay (expand/full/train.py) on a console; use it as a context manager.

    Args:
        console: the console.
        shown: whether anything is printed: of several processes, one alone prints.
    """

    def __init__(self, console: Console, *, shown: bool = True) -> None:
        self._steps, self._first, self._step, self._loss = 0, 0, 0, math.nan
        self._began = self._printed = time.monotonic()
        super().__init__(console if shown else Console(quiet=True))

    def begin(self, schedule: Schedule, recipe: Recipe, step: int) -> None:
        self._caching = None
        self._console.print(schedule_table(schedule, recipe))
        if step:
            self.note(f"going on after step {step:,} of {schedule.steps:,}")
        self._steps, self._first, self._step = schedule.steps, step, step
        self._began = self._printed = time.monotonic()

    def progress(self, progress: TrainingProgress) -> None:
        self._step, self._loss = progress.step, progress.loss
        if not self._console.is_terminal and time.monotonic() - self._printed >= _EVERY:
            self._printed = time.monotonic()
            self.note(self._line())

    def validated(self, row: Validation) -> None:
        scores = (
            f"{title} {row[f'val_{name}']:.1%}"
            for name, title in SCORES.items()
            if f"val_{name}" in row and name != "loss"
        )
        self._printed = time.monotonic()
        clips = f", {row['train_top1']:.1%} of training clips right" if "train_top1" in row else ""
        self.note(
            f"epoch {row['epochs']:.4g}: loss {row['train_loss']:.3f}{clips}; validation {', '.join(scores)}"
            f"{self._time_left()}"
        )

    def render(self) -> RenderableType:
        """Return the current display: a progress bar with the step, the loss and the time left."""
        if self._caching is not None:
            return self.caching_row()
        if not self._steps:
            return Text("preparing")
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=self._steps, completed=self._step, width=20), Text(self._line()))
        return row

    def _line(self) -> str:
        loss = "" if math.isnan(self._loss) else f", loss {self._loss:.3f}"
        return f"step {self._step:,} of {self._steps:,}{loss}{self._time_left()}"

    def _time_left(self) -> str:
        """Return the time left in words; the estimate assumes that all steps cost about the same."""
        done = self._step - self._first
        if not done or self._step == self._steps:
            return ""
        left = (time.monotonic() - self._began) * (self._steps - self._step) / done
        return f", about {show_seconds(left)} left"


def schedule_table(schedule: Schedule, recipe: Recipe) -> Table:
    """Return the table of a schedule, a row for each phase.

    Its columns: steps; clips in a batch, and below the clips of the whole training; frames × stride of the
    clips; their sizes, which alternate from step to step; the learning rate; and where batches change, the
    parts of a process's batch that BatchNorm normalises separately, and the batch's volume B·T·H·W, in
    percent of the last phase's.
    """
    table = Table(box=None, header_style="dim", padding=(0, 1))
    changing = len(schedule.phases) > 1 or len(schedule.phases[0].shapes) > 1  # only with multigrid
    headings = [
        ("steps", True),
        ("clips", True),
        ("frames", False),
        ("sizes", False),
        ("learning rate", False),
    ]
    headings += [("splits", True), ("volume", True)] if changing else []
    for heading, right in headings:
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    usual = schedule.phases[-1].shapes[-1].volume
    for phase, begin in zip(schedule.phases, schedule.starts, strict=True):
        clip = phase.shapes[-1].sampling
        volumes = [shape.volume / usual for shape in phase.shapes]
        volume = _range(f"{100 * min(volumes):.0f}", f"{100 * max(volumes):.0f}") + "%"
        table.add_row(
            f"{phase.steps:,}",
            "/".join(str(shape.clips) for shape in phase.shapes),
            f"{clip.frames}×{clip.stride}",
            "/".join(str(shape.sampling.size) for shape in phase.shapes),
            _rates(phase, begin, schedule.steps, recipe),
            *((str(phase.splits), volume) if changing else ()),
        )
    table.add_section()
    table.add_row(f"{schedule.steps:,}", f"{schedule.clips:,}", style="bold")
    return table


def _rates(phase: Phase, begin: int, steps: int, recipe: Recipe) -> str:
    """Return the learning rates at the ends of a phase, and between them the highest, if it is higher."""
    asked = [begin + phase.steps * part / _PARTS for part in range(_PARTS + 1)]
    rates = [learning_rate(recipe.training, phase, step / steps) for step in asked]
    shown = [f"{rate:.3g}" for rate in (rates[0], max(rates), rates[-1])]
    return "…".join(dict.fromkeys(shown))


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low}…{high}"
