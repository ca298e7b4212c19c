"""Published accuracies of X3D, which figures show as a series apart from what xpand measured.

Source: the model zoo of facebookresearch/SlowFast (XS to L) and Feichtenhofer, CVPR 2020, table 4 (XL). Top-1
on the validation set of Kinetics-400 after full training. The networks and their multiply-adds are those of
`search_spaces.x3d.published`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """Top-1 accuracy from 0 to 1, by 10 views (uniform in time) and by 30 (the same times 3 crops)."""

    views_10: float | None
    views_30: float


KINETICS_400: Mapping[str, Accuracy] = MappingProxyType(
    {
        "x3d-xs": Accuracy(views_10=0.687, views_30=0.695),
        "x3d-s": Accuracy(views_10=0.731, views_30=0.735),
        "x3d-m": Accuracy(views_10=0.751, views_30=0.762),
        "x3d-l": Accuracy(views_10=0.769, views_30=0.775),
        "x3d-xl": Accuracy(views_10=None, views_30=0.791),
    }
)
