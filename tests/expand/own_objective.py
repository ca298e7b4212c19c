"""Objectives of one's own, outside of the packages."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


class Likelihood:
    """exp(-loss): the geometric mean of the probability that is given to the right class."""

    name, words = "likelihood", "likelihood"
    labels: Literal["one"] = "one"

    def score(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
        return float(np.exp(np.log(self._given(probabilities, truth)).mean()))

    def per_video(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float16]:
        return self._given(probabilities, truth).astype(np.float16)

    def chance(self, counts: NDArray[Any], videos: int) -> None:
        return None

    def _given(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
        given: NDArray[Any] = probabilities[np.arange(len(truth)), truth]
        return given


class OfSeveral(Likelihood):
    """The name alone: nothing is scored by it."""

    labels = "several"  # type: ignore[assignment]
