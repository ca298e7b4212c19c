"""How figures and reports write about X3D: symbols of the factors, and published accuracies."""

from __future__ import annotations

from functools import cache

from search_spaces.base import Presentation, PublishedSeries, Symbol
from search_spaces.x3d.accuracies import KINETICS_400
from search_spaces.x3d.architecture import architecture
from search_spaces.x3d.complexity import complexity
from search_spaces.x3d.factors import PUBLISHED, Basis

_SYMBOLS = {
    "frames": Symbol(text="γt", axis="temporal"),
    "rate": Symbol(text="γτ", axis="fast"),
    "size": Symbol(text="γs", axis="spatial"),
    "width": Symbol(text="γw", axis="width"),
    "bottleneck": Symbol(text="γb", axis="bottleneck"),
    "depth": Symbol(text="γd", axis="depth"),
}
_FACTORS = (
    "Factors are relative to the start, where each is 1; over the points, the whole numbers that they "
    "became: frames, stride in source frames, pixels, and for each stage its channels, its channels inside "
    "a block, its blocks."
)
_SOURCE = (
    "Published: SlowFast's model zoo and the X3D paper, on Kinetics-400 after full training; not measured "
    "here."
)


@cache
def presentation() -> Presentation:
    """X3D's symbols, and the published results on Kinetics-400 by 10 and by 30 views."""
    by_10 = {name: one.views_10 for name, one in KINETICS_400.items() if one.views_10 is not None}
    by_30 = {name: one.views_30 for name, one in KINETICS_400.items()}
    return Presentation(
        start="X2D",
        symbols=_SYMBOLS,
        factors=_FACTORS,
        published=(_series("Kinetics-400, 10 views", by_10), _series("Kinetics-400, 30 views", by_30)),
    )


def _series(title: str, top1: dict[str, float]) -> PublishedSeries:
    macs = {name: complexity(architecture(Basis(), PUBLISHED[name].factors), 400).macs for name in top1}
    return PublishedSeries(title=title, source=_SOURCE, macs=macs, top1=top1)
