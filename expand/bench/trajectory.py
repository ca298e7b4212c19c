"""The architectures that are benchmarked: the published expansion from X2D to X3D-XS.

Source: the released networks, and the costs of the steps between them, which add up to 605 M multiply-adds
(Feichtenhofer, CVPR 2020; the networks of SlowFast's model zoo).
"""

from __future__ import annotations

from dataclasses import replace

from search_spaces.x3d.factors import Factors

_WIDER = Factors(bottleneck=2.25)
_LONGER = replace(_WIDER, frames=2, rate=2)
_LARGER = replace(_LONGER, size=160 / 112)
_DEEPER = replace(_LARGER, depth=2.2)

TRAJECTORY: dict[str, Factors] = {
    "X2D": Factors(),
    "bottleneck 2.25": _WIDER,
    "2 frames": _LONGER,
    "160 pixels": _LARGER,
    "depth 2.2": _DEEPER,
    "4 frames: X3D-XS": replace(_DEEPER, frames=4, rate=4),
}
