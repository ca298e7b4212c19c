"""Captions and titles of figures: the data, the metric, the seeds, and what is counted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from expand.plots.style import FAINT, empty_figure
from expand.run.record import RunRecord
from expand.search.latency import LATENCY

_CHARACTERS_AN_INCH = 20  # in a caption's font size


def caption(figure: Figure, *sentences: str) -> None:
    """Write sentences under a figure, wrapped at its width."""
    width = int(figure.get_figwidth() * _CHARACTERS_AN_INCH)
    text = "\n".join(textwrap.wrap(" ".join(sentence for sentence in sentences if sentence), width))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6.5, color=FAINT, linespacing=1.35)


def about(record: RunRecord) -> str:
    """Describe the data and the trainings of a run."""
    data, recipe = record.data, record.config.training
    unseen = ""
    if data.unseen:
        unseen = f" Validation has no video of {', '.join(data.unseen)}."
    clips = (
        "1 centre clip" if recipe.val_clips == 1 else f"{recipe.val_clips} clips uniform in time, averaged,"
    )
    return (
        f"Data: {data.name}, {data.train:,} training and {data.val:,} validation videos, "
        f"{len(data.classes)} classes.{unseen} Each candidate trained for {recipe.budget}, "
        f"validated with {clips} a video."
    )


def metric(record: RunRecord, *, bars: bool = True) -> str:
    """Describe how scores are averaged over seeds, and what error bars mean."""
    search, words = record.config.search, record.objective.words
    words = words if words != words.lower() else words.capitalize()  # mAP stays as it is
    if search.seeds[1] == 1:
        return f"{words} on validation, one seed."
    spread = "; error bars: ± one standard deviation over them" if bars else ""
    return f"{words} on validation, mean of {search.seeds_in_words}{spread}."


MACS_ARE = "MACs: multiply-adds of convolutions and linear layers for one clip (one view)."
_COUNTED = {
    "macs": MACS_ARE,
    "params": "Parameters: all that a training changes in a network, weights and biases.",
    "activations": "Activations: elements of the outputs of convolutions and linear layers for one clip.",
    "weights": "Weights: four bytes for each parameter.",
    "peak": "Peak memory: of the activations that are in memory at once for one clip, four bytes each.",
}


def counted(record: RunRecord) -> str:
    """Describe what a search counts and its targets limit."""
    cost = record.setup.cost
    if cost.name == LATENCY and record.config.search.profile is not None:
        return f"Latency: as predicted for {record.config.search.profile.words} (xpand profile)."
    own = f"{cost.unit[:1].upper()}{cost.unit[1:]}: as {record.config.search.cost} counts them."
    return _COUNTED.get(cost.name, own)


def state(records: Sequence[RunRecord]) -> str:
    """Describe the state of unfinished runs; empty where all are finished."""
    return " ".join(
        f"{record.folder.name} is unfinished: {record.state.rstrip('.')}."
        for record in records
        if not record.finished
    )


def stopped(record: RunRecord) -> str:
    """Say why a search ended before it passed every target; empty where it did not."""
    return "" if record.stopped is None else f"The search stopped: {record.stopped}"


def nothing(records: Sequence[RunRecord], name: str, why: str) -> Figure:
    """Make a figure that says why there is nothing to show, and the state of the runs."""
    return empty_figure(name, f"{why} {state(records)}".strip())


def title(record: RunRecord, what: str) -> str:
    return f"{what}: {record.folder.name}" + ("" if record.finished else " (unfinished)")
