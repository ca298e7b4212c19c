"""Tests that every objective must pass, including a user's own.

A test class for an objective of your own inherits all of them:

    from expand.training.conformance import ObjectiveConformance

    class TestMyObjective(ObjectiveConformance):
        def objective(self):
            return MyObjective()

pytest then runs every check. The checks are plain asserts, on made-up probabilities of 40 videos and 5
classes, one of which no video shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expand.training.metrics import one_hot
from expand.training.objectives import Chance, Objective

_VIDEOS, _CLASSES = 40, 5
_UNSEEN = _CLASSES - 1  # the class that no video shows


class ObjectiveConformance:
    """The checks. A subclass has a name that starts with `Test`, and the method `objective`."""

    def objective(self) -> Objective:
        """The objective to test."""
        raise NotImplementedError("objective() must return the objective to test: override it.")

    def test_it_has_a_name_and_words_in_a_line(self) -> None:
        objective = self.objective()
        for text in (objective.name, objective.words):
            assert isinstance(text, str), f"must be a text, got {text!r}"
            assert text.strip() == text != "", f"must be a text without blanks around it, got {text!r}"
            assert "\n" not in text, f"must be in a line, got {text!r}"
        assert objective.labels in ("one", "several", "any")

    def test_a_score_is_a_share(self) -> None:
        for probabilities, truth in self._cases():
            score = self.objective().score(probabilities, truth)
            assert isinstance(score, float), f"a score must be a float, got {type(score).__name__}"
            assert 0 <= score <= 1, f"a score must be from 0 to 1, got {score!r}"

    def test_larger_is_better(self) -> None:
        for _, truth in self._cases():
            right = (truth if truth.ndim == 2 else one_hot(truth, _CLASSES)) * 0.8 + 0.1
            best, worst = (self.objective().score(one, truth) for one in (right, 1 - right))
            assert best > worst, f"right predictions must score above wrong ones, got {best} and {worst}"

    def test_equal_arguments_give_equal_scores_and_stay_as_they_are(self) -> None:
        for probabilities, truth in self._cases():
            for values in (probabilities, truth):
                values.setflags(write=False)
            one, other = self.objective(), self.objective()
            assert one.score(probabilities, truth) == other.score(probabilities, truth)
            np.testing.assert_array_equal(
                one.per_video(probabilities, truth), other.per_video(probabilities, truth)
            )

    def test_the_order_of_the_videos_does_not_matter(self) -> None:
        order = np.random.default_rng(1).permutation(_VIDEOS)
        for probabilities, truth in self._cases():
            one, other = (
                self.objective().score(*each)
                for each in ((probabilities, truth), (probabilities[order], truth[order]))
            )
            assert abs(one - other) < 1e-9, f"the score must not depend on the order: {one} and {other}"
            np.testing.assert_array_equal(
                self.objective().per_video(probabilities[order], truth[order]),
                self.objective().per_video(probabilities, truth)[order],
            )

    def test_there_is_a_number_for_each_video_that_has_a_label(self) -> None:
        for probabilities, truth in self._cases():
            found = self.objective().per_video(probabilities, truth)
            assert found.shape == (_VIDEOS,), f"must be a number for each video, got {found.shape}"
            assert found.dtype == np.float16, f"must be float16, got {found.dtype}"
            labelled = truth.any(axis=1) if truth.ndim == 2 else np.ones(_VIDEOS, np.bool_)
            assert np.isfinite(found[labelled]).all(), "must be finite for a video with a label"
            assert np.isnan(found[~labelled]).all(), "must be NaN for a video without any label"

    def test_videos_without_any_label_are_not_counted(self) -> None:
        for probabilities, truth in self._cases():
            if truth.ndim == 2:
                labelled = truth.any(axis=1)
                whole = self.objective().score(probabilities, truth)
                part = self.objective().score(probabilities[labelled], truth[labelled])
                assert abs(whole - part) < 1e-9, f"videos without a label change {part} to {whole}"

    def test_chance_is_a_share_with_words_or_nothing(self) -> None:
        for _, truth in self._cases():
            shown = truth if truth.ndim == 2 else one_hot(truth, _CLASSES)
            chance = self.objective().chance(shown.sum(axis=0), int(shown.any(axis=1).sum()))
            if chance is not None:
                assert isinstance(chance, Chance)
                assert 0 <= chance.score <= 1, f"must be from 0 to 1, got {chance.score!r}"
                assert chance.words, "must say in words what scores it"

    def _cases(self) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
        """(V, C) probabilities and the truth of V videos, for each kind of labels of the objective."""
        random = np.random.default_rng(0)
        logits = random.normal(size=(_VIDEOS, _CLASSES))
        if self.objective().labels in ("one", "any"):
            shares = np.exp(logits)
            yield shares / shares.sum(axis=1, keepdims=True), random.integers(0, _UNSEEN, _VIDEOS)
        if self.objective().labels in ("several", "any"):
            truth = random.random((_VIDEOS, _CLASSES)) < 0.4
            truth[:, _UNSEEN] = False
            truth[:3] = False  # videos without any label
            yield 1 / (1 + np.exp(-logits)), truth
