"""Objectives, which score candidates on validation videos: top-1, mean class accuracy, mAP, or your own.

Shapes: V videos, C classes. The truth of videos is (V,) the class of each or, if videos have several labels,
(V, C) whether each video shows each class. One candidate is scored like this:

    objective = load_objective("mAP")
    objective.labels                        # "any": for data with one label a video, and with several
    objective.score(probabilities, truth)   # 0.412: from 0 to 1, larger is better; decides the search
    objective.per_video(probabilities, truth)   # (V,) float16: kept to compare candidates video by video
    objective.chance(counts, videos)        # Chance(score=0.08, words="giving every video the same …")

An objective of your own is a class with these members, named as `module:Class`, that passes
`expand.training.conformance`. Its probabilities are those of a softmax if videos have one label, and of
sigmoids if they have several. Scores must be in [0, 1], since tables and figures show them in percent; a
loss, for example, can be turned into exp(-loss).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from expand.config.spaces import load_own
from expand.jobs.per_video import VideoScores, pack_scores
from expand.system.errors import UserError
from expand.training.metrics import (
    average_precisions,
    hits,
    losses,
    mean_over_classes,
    one_hot,
    per_class_accuracy,
    score,
)

Probabilities = NDArray[np.floating]
Truth = NDArray[Any]  # (V,) integers or (V, C) flags


@dataclass(frozen=True, kw_only=True, slots=True)
class Chance:
    """The score of a method that ignores the videos.

    Attributes:
        score: the score.
        words: what it does, such as `always naming one class`.
        videos: of how many videos the score is a share, which tells how far it scatters; None: it is none.
    """

    score: float
    words: str
    videos: int | None = None


class Objective(Protocol):
    """Scores a candidate, by its probabilities and the truth alone. Its constructor takes no arguments."""

    @property
    def name(self) -> str:
        """The objective's name in settings and in the study."""
        ...

    @property
    def words(self) -> str:
        """The score's name in tables and figures, such as `top-1`."""
        ...

    @property
    def labels(self) -> Literal["one", "several", "any"]:
        """How many labels videos may have: one, several, or any number."""
        ...

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """The score, from 0 to 1, larger is better; videos without any label are left out."""
        ...

    def per_video(self, probabilities: Probabilities, truth: Truth) -> VideoScores:
        """(V,) the score of each video, larger is better; NaN for a video without any label."""
        ...

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance | None:
        """The score by chance, for a line in figures; None: no line.

        Args:
            counts: (C,) numbers of videos that show each class.
            videos: number of videos with any label.
        """
        ...


class Top1:
    """Top-1: the share of videos whose right class has the largest probability."""

    name, words = "top1", "top-1"
    labels: Literal["one"] = "one"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`; among equal probabilities the right class is ranked last."""
        return float(hits(probabilities, truth).mean())

    def per_video(self, probabilities: Probabilities, truth: Truth) -> VideoScores:
        """See `Objective.per_video`; 1 if the right class is ranked first, else 0."""
        return hits(probabilities, truth).astype(np.float16)

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:
        """See `Objective.chance`."""
        share = int(counts.max()) / videos
        return Chance(score=share, words="always naming the most frequent class", videos=videos)


class MeanClassAccuracy(Top1):
    """Mean class accuracy: the top-1 of each class's videos, averaged over the classes that have videos."""

    name, words = "mean-class-accuracy", "mean class accuracy"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`."""
        return mean_over_classes(per_class_accuracy(probabilities, truth))

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:  # noqa: ARG002  # each class counts
        """See `Objective.chance`; it scatters as a share of fewer videos where classes are uneven."""
        shown = counts[counts > 0]
        alike = round(len(shown) ** 2 / float((1 / shown).sum()))
        return Chance(score=1 / len(shown), words="always naming one class", videos=alike)


class MeanAveragePrecision:
    """mAP: the average precision of each class over the videos, averaged over the classes that videos show.

    It can also be used if videos have one label: each class is then scored against the rest, and a rare class
    counts as much as a frequent one.
    """

    name, words = "mAP", "mAP"
    labels: Literal["any"] = "any"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`."""
        shown = self._shown(probabilities, truth)
        counted = shown.any(axis=1)
        return mean_over_classes(average_precisions(probabilities[counted], shown[counted]))

    def per_video(self, probabilities: Probabilities, truth: Truth) -> VideoScores:
        """See `Objective.per_video`; the average precision of a video's classes, ranked by probability."""
        shown = self._shown(probabilities, truth)
        return average_precisions(probabilities.T, shown.T).astype(np.float16)

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:
        """See `Objective.chance`; by chance, a class's average precision is its share of the videos."""
        shares = counts[counts > 0] / videos
        return Chance(score=float(shares.mean()), words="giving every video the same probabilities")

    def _shown(self, probabilities: Probabilities, truth: Truth) -> NDArray[np.bool_]:
        return truth if truth.ndim == 2 else one_hot(truth, probabilities.shape[1])


OBJECTIVES: dict[str, Objective] = {
    one.name: one for one in (Top1(), MeanClassAccuracy(), MeanAveragePrecision())
}


def load_objective(name: str) -> Objective:
    """The objective of a name: top1, mean-class-accuracy, mAP, or a user's own as `module:Class`.

    Raises:
        UserError: the name is unknown or cannot be imported, or the class lacks members of `Objective`.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    known = f"one of {', '.join(OBJECTIVES)}"
    objective: Objective = load_own(name, Objective, "objective", "search.objective", known)
    return objective


def check_labels(name: str, data: str, labels: Literal["one", "several"]) -> None:
    """Raises UserError if an objective does not support the number of labels that videos have.

    Args:
        name: the objective's name.
        data: the data's name, for the message.
        labels: whether the data's videos have one label or several.
    """
    wanted = load_objective(name).labels
    if wanted in ("any", labels):
        return
    if labels == "several":
        raise UserError(
            f"search.objective {name} is for videos with one label each, but those of {data} have several: "
            "set search.objective=mAP."
        )
    raise UserError(
        f"search.objective {name} is for videos with several labels, but those of {data} have one each: set "
        "search.objective to top1, mean-class-accuracy or mAP."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated:
    """The results of a validation: fields of `Measurement`; None: not defined for several labels."""

    score: float
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    loss: float
    video_scores: str


def judge(objective: Objective, probabilities: Probabilities, truth: Truth) -> Validated:
    """The results of a validation.

    Args:
        objective: gives the score.
        probabilities: (V, C) of the validation videos.
        truth: (V,) labels or (V, C) flags.

    Raises:
        ValueError: the score of a user's own objective is not in [0, 1].
    """
    objective_score = float(objective.score(probabilities, truth))
    if not 0 <= objective_score <= 1:  # this way round, NaN is refused too
        raise ValueError(f"the score of {objective.name} must be from 0 to 1, got {objective_score!r}")
    packed = pack_scores(objective.per_video(probabilities, truth).astype(np.float16))
    if truth.ndim == 2:
        return Validated(
            score=objective_score,
            top1=None,
            top5=None,
            mean_class_accuracy=None,
            loss=float(np.nanmean(losses(probabilities, truth))),
            video_scores=packed,
        )
    scores = score(probabilities, truth)
    return Validated(
        score=objective_score,
        top1=scores.top1,
        top5=scores.top5,
        mean_class_accuracy=scores.mean_class_accuracy,
        loss=scores.loss,
        video_scores=packed,
    )
