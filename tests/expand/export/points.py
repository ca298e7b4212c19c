"""Networks to export: points of the x3d space, with what a model file of a search says of them."""

from __future__ import annotations

from typing import Any

from expand.weights.models import Model
from search_spaces.x3d import Factors, X3DSpace

CLASSES = ("clap", "jump", "wave")
XL: dict[str, Any] = {"width": 1.45, "bottleneck": 2.25, "depth": 5.0}
ODD: dict[str, Any] = {"width": 1.25, "bottleneck": 2.25, "depth": 2.2}


def model_at(
    space: X3DSpace | None = None,
    *,
    name: str = "found",
    classes: tuple[str, ...] = CLASSES,
    values: dict[str, Any] | None = None,
    **factors: float,
) -> Model:
    """The network at a point; `values` join its factors."""
    space, point = space or X3DSpace(), Factors(**factors)
    return Model(
        name=name,
        space=space,
        architecture=space.architecture(point),
        sampling=space.sampling(point),
        classes=classes,
        values={"factors": space.point_to_json(point)} | (values or {}),
    )
