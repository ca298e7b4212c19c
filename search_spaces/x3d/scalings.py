"""How X3D networks are scaled by hand: in the published proportions, or all factors alike."""

from __future__ import annotations

import math
from dataclasses import asdict

from search_spaces.x3d.factors import PUBLISHED, Basis, Factors

_MOST = 32.0  # the largest factor of a network whose factors are all alike


def in_published_proportions(basis: Basis, scale: float) -> Factors:
    """A point on the way from X2D over X3D-XS, S, M and L to XL, relative to the basis.

    Between two published networks, the logarithm of each factor rises evenly.

    Args:
        basis: what factors scale.
        scale: 0 for the basis, 1 for XL; each network is as far from the next as any other.
    """
    knots = [asdict(one.factors) for one in PUBLISHED.values()]
    at = min(max(scale, 0.0), 1.0) * (len(knots) - 1)
    below = min(int(at), len(knots) - 2)
    share = at - below
    return _on_the_grid(
        basis,
        {
            name: math.exp(
                (1 - share) * math.log(knots[below][name]) + share * math.log(knots[below + 1][name])
            )
            for name in knots[0]
        },
    )


def all_alike(basis: Basis, scale: float) -> Factors:
    """A point where all six factors are equal, from 1 to 32: compound scaling (Tan and Le, ICML 2019)."""
    return _on_the_grid(basis, dict.fromkeys(asdict(Factors()), _MOST**scale))


def _on_the_grid(basis: Basis, factors: dict[str, float]) -> Factors:
    """The point with whole frames, and with a size that is a multiple as the basis asks for."""
    frames = math.floor(factors["frames"] * basis.frames + 1e-9)
    sizes = math.floor((factors["size"] - 1) * basis.size / basis.size_multiple + 1e-9)
    return Factors(
        **factors
        | {
            "frames": frames / basis.frames,
            "size": (basis.size + sizes * basis.size_multiple) / basis.size,
        }
    )
