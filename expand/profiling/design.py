"""The networks that are timed for a profile: drawn over the whole range of a search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from expand.config.spaces import Space
from expand.search.base import Problem
from expand.search.latency import needed_parts
from expand.search.random_networks import uniform
from expand.search.shares import dividable, divided, weights_of
from search_spaces.base import Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network that is timed.

    Attributes:
        architecture: of the space.
        parts: what it does.
        macs: its multiply-adds for one clip.
    """

    architecture: Any
    parts: tuple[Part, ...]
    macs: int


def drawn(space: Space, num_classes: int, largest: float) -> Iterator[Network]:
    """Networks without end, the same each time, so that any number of the first ones is spread evenly.

    Multiply-adds are drawn evenly in the logarithm, from the start's to `largest` times as many, and the
    growth is divided at random among the axes (search/shares.py).

    Args:
        space: says what its networks do, by `parts`.
        num_classes: outputs of the networks.
        largest: the multiply-adds of the largest, over those of the start.

    Raises:
        UserError: the space does not say what its networks do.
    """
    parts_of, draws = needed_parts(space), uniform("profile")
    problem = Problem(space=space, axes=space.axes, targets=(), num_classes=num_classes)
    axes = dividable(problem)
    while True:
        macs = problem.start.macs * math.exp(next(draws) * math.log(largest))
        weights = weights_of([next(draws) for _ in axes])
        order = sorted(range(len(axes)), key=lambda _: next(draws))
        point = divided(problem, [axes[at] for at in order], macs, [weights[at] for at in order])
        architecture = space.architecture(point)
        yield Network(
            architecture=architecture,
            parts=tuple(parts_of(architecture, num_classes)),
            macs=space.complexity(architecture, num_classes).macs,
        )
