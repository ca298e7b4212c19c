"""Objectives, by numbers worked out by hand, and by the tests that one of one's own inherits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from expand.jobs.per_video import unpack_scores
from expand.system.errors import UserError
from expand.training.conformance import ObjectiveConformance
from expand.training.objectives import (
    MeanAveragePrecision,
    MeanClassAccuracy,
    Objective,
    Top1,
    check_labels,
    judge,
    load_objective,
)
from tests.expand.own_objective import Likelihood

# Four videos, three classes; the last class has no video.
ONE = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
LABELS = np.array([0, 0, 1, 1])
COUNTS = np.array([2, 2, 0])
# The same with several labels; the last video has none.
SHOWN = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], np.bool_)


class TestTop1(ObjectiveConformance):
    def objective(self) -> Objective:
        return Top1()


class TestMeanClassAccuracy(ObjectiveConformance):
    def objective(self) -> Objective:
        return MeanClassAccuracy()


class TestMeanAveragePrecision(ObjectiveConformance):
    def objective(self) -> Objective:
        return MeanAveragePrecision()


class TestLikelihood(ObjectiveConformance):
    def objective(self) -> Objective:
        return Likelihood()


def test_top1_is_the_share_of_the_videos_that_are_right() -> None:
    assert Top1().score(ONE, LABELS) == 0.75
    assert Top1().per_video(ONE, LABELS).tolist() == [1, 1, 1, 0]
    assert Top1().chance(np.array([3, 1, 0]), 4).score == 0.75


def test_mean_class_accuracy_counts_classes_alike() -> None:
    labels = np.array([0, 0, 0, 1])  # two of three are right, and none of one
    assert MeanClassAccuracy().score(ONE, labels) == pytest.approx((2 / 3 + 0) / 2)
    assert MeanClassAccuracy().per_video(ONE, labels).tolist() == [1, 1, 0, 0]
    assert MeanClassAccuracy().chance(np.array([3, 1, 0]), 4).score == 0.5


def test_map_of_one_label_asks_for_each_class_which_videos_are_of_it() -> None:
    # Class 0 ranks videos 0, 1, 3, 2: right, right. Class 1 ranks 2, 3, 1, 0: right, right.
    assert MeanAveragePrecision().score(ONE, LABELS) == 1
    # Video 3 has its own class second of three: precision 1/2. The others have it first.
    assert MeanAveragePrecision().per_video(ONE, LABELS).tolist() == [1, 1, 1, 0.5]
    assert MeanAveragePrecision().chance(COUNTS, 4).score == 0.5


def test_map_of_several_labels_leaves_out_videos_without_any() -> None:
    # Class 0 ranks 0, 1, 2: 1. Class 1 ranks 2, 1, 0: right, wrong, right: (1 + 2/3) / 2.
    assert MeanAveragePrecision().score(ONE, SHOWN) == pytest.approx((1 + 5 / 6) / 2)
    assert MeanAveragePrecision().per_video(ONE, SHOWN)[:3].tolist() == [1, 1, 1]
    assert np.isnan(MeanAveragePrecision().per_video(ONE, SHOWN)[3])


def test_what_is_kept_of_a_validation() -> None:
    found = judge(Top1(), ONE, LABELS)
    assert (found.score, found.top1, found.top5, found.mean_class_accuracy) == (0.75, 0.75, 1, 0.75)
    losses = -np.log([0.7, 0.6, 0.8, 0.4])
    assert found.loss == pytest.approx(losses.mean())
    assert unpack_scores(found.video_scores).tolist() == [1, 1, 1, 0]
    several = judge(MeanAveragePrecision(), ONE, SHOWN)
    assert (several.top1, several.top5, several.mean_class_accuracy) == (None, None, None)
    first = -np.log([0.7, 0.2, 0.9]).mean()  # what it says of that the first video shows 0 and 1, and not 2
    assert np.isnan(unpack_scores(several.video_scores)).tolist() == [False, False, False, True]
    assert several.loss == pytest.approx(np.mean([
        first, -np.log([0.6, 0.7, 0.9]).mean(), -np.log([0.9, 0.8, 0.9]).mean(),
    ]))  # fmt: skip


def test_what_is_no_share_is_no_score() -> None:
    class Loud(Top1):
        name = "loud"

        def score(self, probabilities: Any, truth: Any) -> float:
            return float("nan")

    with pytest.raises(ValueError, match="the score of loud must be from 0 to 1, got nan"):
        judge(Loud(), ONE, LABELS)


def test_objectives_by_name() -> None:
    assert load_objective("mAP").words == "mAP"
    assert load_objective("tests.expand.own_objective:Likelihood").name == "likelihood"
    for name, message in (
        (
            "top-1",
            "search.objective must be one of top1, mean-class-accuracy, mAP, or your own as module:Class, "
            "got 'top-1'.",
        ),
        (
            "tests.expand.toy:ToySpace",
            "objective 'tests.expand.toy:ToySpace' must have all members of "
            "expand.training.objectives.Objective, but it lacks score, per_video, chance: add it, and run "
            "expand.training.conformance on it.",
        ),
    ):
        with pytest.raises(UserError) as caught:
            load_objective(name)
        assert str(caught.value) == message


def test_an_objective_that_does_not_go_with_the_labels_is_refused() -> None:
    for name in ("top1", "mean-class-accuracy"):
        check_labels(name, "clips", "one")
    for labels in ("one", "several"):
        check_labels("mAP", "clips", labels)
    with pytest.raises(UserError) as caught:
        check_labels("top1", "clips", "several")
    assert str(caught.value) == (
        "search.objective top1 is for videos with one label each, but those of clips have several: set "
        "search.objective=mAP."
    )
    with pytest.raises(UserError) as caught:
        check_labels("tests.expand.own_objective:OfSeveral", "clips", "one")
    assert str(caught.value) == (
        "search.objective tests.expand.own_objective:OfSeveral is for videos with several labels, but those "
        "of clips have one each: set search.objective to top1, mean-class-accuracy or mAP."
    )
