"""Testing a network on a split, with any views and any kind of labels.

Shapes: V videos, C classes, T frames in a view.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from expand.data.base import Split
from expand.data.clips import view_times
from expand.data.labels import OneLabel, SeveralLabels
from expand.training.metrics import average_precisions, mean_over_classes, per_class_accuracy, score
from expand.training.prediction import Viewing, activation_of, view_means, view_scores
from expand.training.processes import ALONE, Processes

# What a test gives, in the words of tables.
SCORES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class_accuracy": "mean class",
    "mean_average_precision": "mAP",
    "loss": "loss",
}
MOMENTS = 25  # of each video, that localisation is measured at


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitScores:
    """What a test gave.

    Attributes:
        videos: in the split.
        scores: by name. One label a clip: top1, top5, mean_class_accuracy (shares) and loss (nats). Several:
            mean_average_precision, over the classes that are there.
        per_class: (C,) top-1 or average precision of each class; NaN where no video has it.
    """

    videos: int
    scores: dict[str, float]
    per_class: tuple[float, ...]


def evaluate(
    network: nn.Module,
    split: Split,
    truth: OneLabel | SeveralLabels,
    viewing: Viewing,
    processes: Processes = ALONE,
) -> SplitScores:
    """Score a network on all videos of a split; probabilities of a video's views are averaged.

    Args:
        network: (B, 3, T, S, S) to (B, C), or to (B, T, C) where the labels are by frame.
        split: the videos.
        truth: their labels, as numbers of the network's outputs.
        viewing: how the network is shown them.
        processes: among which the views are divided.

    Raises:
        Diverged: a probability is not finite.
    """
    if isinstance(truth, SeveralLabels) and truth.per_frame:
        # Every process does it all: the frames of a video are needed together.
        scores = localisation_scores(network, split, viewing)
        moments = _moments(split.seconds)
        flat = truth.shown(np.arange(len(scores)), moments).reshape(-1, truth.classes)
        return _average_precision(scores.reshape(-1, truth.classes), flat, videos=len(scores))
    own = view_means(network, split, viewing, activation_of(truth), processes.share)
    means = processes.summed(own, viewing.device)
    if isinstance(truth, SeveralLabels):
        shown = truth.of_videos()
        labelled = shown.any(axis=1)  # as Charades does: a video without any label says nothing
        return _average_precision(means[labelled], shown[labelled], videos=len(means))
    return SplitScores(
        videos=len(means),
        scores=asdict(score(means, truth.labels)),
        per_class=tuple(per_class_accuracy(means, truth.labels).tolist()),
    )


def localisation_scores(network: nn.Module, split: Split, viewing: Viewing) -> NDArray[np.float64]:
    """(V, 25, C) probabilities at equally spaced moments, from 0 on, from those of the views' frames.

    Between the frames that the views show, probabilities are interpolated; where several show the same
    moment, they are averaged.
    """
    views = viewing.views
    seconds = np.repeat(split.seconds, views.count)[:, None]
    times = np.mod(view_times(split, viewing.sampling, views), seconds)
    moments = _moments(split.seconds)
    frames: list[NDArray[np.float64]] = []  # (T, C) of each view of the video that is under way
    found: list[NDArray[np.float64]] = []
    for _, scores in view_scores(network, split, viewing, "sigmoid"):
        frames.extend(scores)
        while len(frames) >= views.count:  # the views come video by video
            video = len(found)
            own = times[video * views.count : (video + 1) * views.count].ravel()
            found.append(_at(moments[video], own, np.concatenate(frames[: views.count])))
            del frames[: views.count]
    return np.stack(found)


def _moments(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 25) where localisation is measured: k/25 of each video."""
    return seconds[:, None] * np.arange(MOMENTS) / MOMENTS


def _at(
    moments: NDArray[np.float64], times: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(25, C) scores at some moments, from (N, C) scores at other times."""
    known, places = np.unique(times, return_inverse=True)
    sums = np.zeros((len(known), scores.shape[1]))
    np.add.at(sums, places, scores)
    means = sums / np.bincount(places)[:, None]
    return np.stack([np.interp(moments, known, column) for column in means.T], axis=1)


def _average_precision(scores: NDArray[np.float64], truth: NDArray[np.bool_], *, videos: int) -> SplitScores:
    per_class = average_precisions(scores, truth)
    mean = mean_over_classes(per_class)
    return SplitScores(
        videos=videos, scores={"mean_average_precision": mean}, per_class=tuple(per_class.tolist())
    )
