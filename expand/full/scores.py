"""Scores a network on a split, with any views, for videos with one label, several, or labels by time.

Shapes: V videos, C classes, T frames in a view.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import nn

from expand.data.base import Split
from expand.data.clips import view_times
from expand.data.labels import OneLabel, SeveralLabels
from expand.training.metrics import average_precisions, mean_over_classes, per_class_accuracy, score
from expand.training.prediction import Viewing, activation_of, view_means, view_scores
from expand.training.processes import ALONE, Processes

# The scores of a test, with their headings in tables.
SCORES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class_accuracy": "mean class",
    "mean_average_precision": "mAP",
    "loss": "loss",
}
MOMENTS = 25  # moments of each video at which localisation is scored, as in Charades


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitScores:
    """The scores of a network on a split.

    Attributes:
        videos: number of videos in the split.
        scores: by name: for videos with one label top1, top5, mean_class_accuracy (shares) and loss (nats);
            for several labels mean_average_precision, over the classes that videos show.
        per_class: (C,) the top-1 or the average precision of each class; NaN for a class that no video shows.
        probabilities: (V, C) of the videos, averaged over their views; None: videos have several labels.
    """

    videos: int
    scores: dict[str, float]
    per_class: tuple[float, ...]
    probabilities: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


def evaluate(
    network: nn.Module,
    split: Split,
    truth: OneLabel | SeveralLabels,
    viewing: Viewing,
    processes: Processes = ALONE,
) -> SplitScores:
    """Score a network on all videos of a split; the probabilities of a video's views are averaged.

    Args:
        network: maps (B, 3, T, S, S) clips to (B, C) logits, or to (B, T, C) if labels are by frame.
        split: the videos.
        truth: the labels of the videos, as indices of the network's outputs.
        viewing: the views of each video, and how they are computed.
        processes: the processes, among which the views are divided.

    Raises:
        Diverged: a probability is not finite.
    """
    if isinstance(truth, SeveralLabels) and truth.per_frame:
        # Every process computes all views, since the frames of a video are needed together.
        scores = localisation_scores(network, split, viewing)
        moments = _moments(split.seconds)
        flat = truth.shown(np.arange(len(scores)), moments).reshape(-1, truth.classes)
        return _average_precision(scores.reshape(-1, truth.classes), flat, videos=len(scores))
    own = view_means(network, split, viewing, activation_of(truth), processes.share)
    means = processes.summed(own, viewing.device)
    if isinstance(truth, SeveralLabels):
        shown = truth.of_videos()
        labelled = shown.any(axis=1)  # as in Charades, videos without any label are left out
        return _average_precision(means[labelled], shown[labelled], videos=len(means))
    return SplitScores(
        videos=len(means),
        scores=asdict(score(means, truth.labels)),
        per_class=tuple(per_class_accuracy(means, truth.labels).tolist()),
        probabilities=means,
    )


def localisation_scores(network: nn.Module, split: Split, viewing: Viewing) -> NDArray[np.float64]:
    """(V, 25, C) probabilities at evenly spaced moments of each video, the first at 0.

    They are interpolated linearly between the frames of the views; frames at the same time are averaged.
    """
    views = viewing.views
    seconds = np.repeat(split.seconds, views.count)[:, None]
    times = np.mod(view_times(split, viewing.sampling, views), seconds)
    moments = _moments(split.seconds)
    pending: list[NDArray[np.float64]] = []  # (T, C) of each view of a video whose views are not complete yet
    complete: list[NDArray[np.float64]] = []  # (25, C) of each video
    for _, scores in view_scores(network, split, viewing, "sigmoid"):
        pending.extend(scores)
        while len(pending) >= views.count:  # the views come video by video
            video = len(complete)
            own = times[video * views.count : (video + 1) * views.count].ravel()
            complete.append(interpolated(moments[video], own, np.concatenate(pending[: views.count])))
            del pending[: views.count]
    return np.stack(complete)


def _moments(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 25) the times at which localisation is scored, in seconds: k/25 of each video's duration."""
    return seconds[:, None] * np.arange(MOMENTS) / MOMENTS


def interpolated(
    moments: NDArray[np.float64], times: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(M, C) scores at (M,) moments, interpolated linearly from (N, C) scores at (N,) times.

    Scores at the same time are averaged.
    """
    known, indices = np.unique(times, return_inverse=True)
    sums = np.zeros((len(known), scores.shape[1]))
    np.add.at(sums, indices, scores)
    means = sums / np.bincount(indices)[:, None]
    return np.stack([np.interp(moments, known, column) for column in means.T], axis=1)


def _average_precision(scores: NDArray[np.float64], truth: NDArray[np.bool_], *, videos: int) -> SplitScores:
    """The mAP of (N, C) scores against (N, C) flags, for a split with `videos` videos."""
    per_class = average_precisions(scores, truth)
    mean = mean_over_classes(per_class)
    return SplitScores(
        videos=videos, scores={"mean_average_precision": mean}, per_class=tuple(per_class.tolist())
    )
