"""How a candidate is scored on the validation videos: by top-1, mean class accuracy, mAP, or as one likes.

Shapes: V videos, C classes. What videos show is their truth: (V,) the class of each, or (V, C) whether each
shows each class, where data has several labels a video. What happens to one candidate:

    objective = load_objective("mAP")
    objective.labels                        # "any": for data with one label a video, and with several
    objective.score(probabilities, truth)   # 0.412: decides; from 0 to 1, and larger is better
    objective.per_video(probabilities, truth)   # (V,) float16: kept beside it, to compare video by video
    objective.chance(counts, videos)        # Chance(score=0.08, words="giving every video the same …")

An objective of one's own is a class with these members, named as `module:Class`, that passes
`expand.training.conformance`. It gets probabilities of a softmax for one label a video, and of sigmoids for
several. Scores are shares because tables and figures show them in percent: what is no share by itself can be
made one, such as a loss by exp(-loss).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from expand.config.spaces import load_own
from expand.jobs.per_video import PerVideo
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
PerVideoValues = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chance:
    """What one gets without looking at the videos, and how, in words such as `always naming one class`."""

    score: float
    words: str


class Objective(Protocol):
    """What a search looks for. A class whose constructor takes nothing; it decides by its arguments alone."""

    @property
    def name(self) -> str:
        """In settings and in the study."""
        ...

    @property
    def words(self) -> str:
        """What tables and figures call its score, such as `top-1`."""
        ...

    @property
    def labels(self) -> Literal["one", "several", "any"]:
        """How many labels a video has in data that it can be used on."""
        ...

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """From 0 to 1, the larger the better; videos without any label are not counted."""
        ...

    def per_video(self, probabilities: Probabilities, truth: Truth) -> PerVideoValues:
        """(V,) a number for each video, the larger the better; NaN for one without any label."""
        ...

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance | None:
        """What one gets without looking, for figures; None: nothing that is worth a line.

        Args:
            counts: (C,) how many videos show each class.
            videos: that are counted.
        """
        ...


class Top1:
    """The share of the videos whose class is given the largest probability."""

    name, words = "top1", "top-1"
    labels: Literal["one"] = "one"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`; of equal probabilities the right class is ranked last."""
        return float(hits(probabilities, truth).mean())

    def per_video(self, probabilities: Probabilities, truth: Truth) -> PerVideoValues:
        """1 where the right class is first, else 0."""
        return hits(probabilities, truth).astype(np.float16)

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:
        """See `Objective.chance`."""
        return Chance(score=int(counts.max()) / videos, words="always naming the most frequent class")


class MeanClassAccuracy(Top1):
    """The top-1 of each class's videos, averaged over the classes that have some."""

    name, words = "mean-class-accuracy", "mean class accuracy"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`."""
        return mean_over_classes(per_class_accuracy(probabilities, truth))

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:  # noqa: ARG002  # each class counts
        """See `Objective.chance`."""
        return Chance(score=1 / int((counts > 0).sum()), words="always naming one class")


class MeanAveragePrecision:
    """The average precision of each class over the videos, averaged over the classes that a video shows.

    Also for data with one label a video, where each class is a question of its own (one against the rest): it
    then says how well videos can be found by their class, however rare it is, which top-1 does not.
    """

    name, words = "mAP", "mAP"
    labels: Literal["any"] = "any"

    def score(self, probabilities: Probabilities, truth: Truth) -> float:
        """See `Objective.score`."""
        shown = self._shown(probabilities, truth)
        counted = shown.any(axis=1)
        return mean_over_classes(average_precisions(probabilities[counted], shown[counted]))

    def per_video(self, probabilities: Probabilities, truth: Truth) -> PerVideoValues:
        """The average precision of the video's own classes among all, by their probabilities."""
        shown = self._shown(probabilities, truth)
        return average_precisions(probabilities.T, shown.T).astype(np.float16)

    def chance(self, counts: NDArray[np.integer], videos: int) -> Chance:
        """See `Objective.chance`; the precision at any rank is then the share of the videos that show it."""
        shares = counts[counts > 0] / videos
        return Chance(score=float(shares.mean()), words="giving every video the same probabilities")

    def _shown(self, probabilities: Probabilities, truth: Truth) -> NDArray[np.bool_]:
        return truth if truth.ndim == 2 else one_hot(truth, probabilities.shape[1])


OBJECTIVES: dict[str, Objective] = {
    one.name: one for one in (Top1(), MeanClassAccuracy(), MeanAveragePrecision())
}


def load_objective(name: str) -> Objective:
    """An objective by name, or one's own as `module:Class`.

    Raises:
        UserError: the name leads nowhere, or to something that is no objective.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    known = f"one of {', '.join(OBJECTIVES)}"
    objective: Objective = load_own(name, Objective, "objective", "search.objective", known)
    return objective


def check_labels(name: str, data: str, labels: Literal["one", "several"]) -> None:
    """Raises UserError where an objective cannot score the videos of some data, by their labels."""
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
    """What a validation gave, as a Measurement has it; of several labels, score and loss alone."""

    score: float
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    loss: float


def judge(objective: Objective, probabilities: Probabilities, truth: Truth) -> tuple[Validated, PerVideo]:
    """All that is kept of a validation.

    Raises:
        ValueError: the objective, which is a user's own, gives no share.
    """
    found = float(objective.score(probabilities, truth))
    if not 0 <= found <= 1:  # this way round, NaN is refused too
        raise ValueError(f"the score of {objective.name} must be from 0 to 1, got {found!r}")
    each = losses(probabilities, truth)
    per_video = PerVideo(
        score=objective.per_video(probabilities, truth).astype(np.float16), loss=each.astype(np.float16)
    )
    if truth.ndim == 2:
        validated = Validated(
            score=found, top1=None, top5=None, mean_class_accuracy=None, loss=float(np.nanmean(each))
        )
        return validated, per_video
    one = score(probabilities, truth)
    validated = Validated(
        score=found,
        top1=one.top1,
        top5=one.top5,
        mean_class_accuracy=one.mean_class_accuracy,
        loss=one.loss,
    )
    return validated, per_video
