"""Solves for the arguments with which another project builds a given network."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator

from expand.export.project_networks import DEPTHS, Arguments, Target
from search_spaces.x3d.architecture import Architecture

_DIGITS = 6  # the most decimals of a factor
_LARGEST = 1_000  # the largest factor


def same_network(one: Architecture, other: Architecture) -> bool:
    """Whether widths and depths are equal; clips and the BatchNorms of shortcuts are ignored."""
    return _integers(one) == _integers(other)


def arguments_for(target: Target, searched: Architecture, near: Arguments | None) -> Arguments | None:
    """Return arguments with which the target builds exactly this network; None where there are none.

    Values of `near` are kept where they give this network; others are the shortest decimals that do.
    """
    hidden = searched.head_width
    if len(searched.stages) != len(DEPTHS) or target.hidden not in (None, hidden):
        return None
    bottleneck, depth = _bottleneck(searched, near), _depth(searched, near)
    if bottleneck is None or depth is None:
        return None
    for base, scale_res2, width in _widths(target, searched, near):
        arguments = Arguments(
            width=width, bottleneck=bottleneck, depth=depth, base=base, hidden=hidden, scale_res2=scale_res2
        )
        built = target.build(arguments, frames=searched.frames, size=searched.size)
        if same_network(built, searched):
            return arguments
    return None


def _bottleneck(searched: Architecture, near: Arguments | None) -> float | None:
    stages = searched.stages
    return _factor(
        lambda factor: tuple(int(factor * stage.width) for stage in stages),
        tuple(stage.inner_width for stage in stages),
        near.bottleneck if near else None,
    )


def _depth(searched: Architecture, near: Arguments | None) -> float | None:
    return _factor(
        lambda factor: tuple(math.ceil(factor * each) for each in DEPTHS),
        tuple(stage.depth for stage in searched.stages),
        near.depth if near else None,
    )


def _widths(
    target: Target, searched: Architecture, near: Arguments | None
) -> Iterator[tuple[int, bool, float]]:
    """Yield base, SCALE_RES2 and width factor that give the stem's and stages' widths; usual bases first."""
    wanted = (searched.stem_width, *(stage.width for stage in searched.stages))
    usual = [near.base] if near else []
    bases = [target.base] if target.base else [*usual, 12, *range(2, searched.stem_width + 1)]
    for scale_res2 in (False, True) if target.scales_res2 else (False,):
        for base in dict.fromkeys(bases):
            unscaled = target.bases(base, scale_res2)
            pairs = list(zip(wanted, unscaled, strict=True))
            lowest = max((width - target.divisor) / each for width, each in pairs)
            if lowest > min((width + target.divisor) / each for width, each in pairs):
                continue  # no factor can fit, as for most bases

            def widths(factor: float, base: int = base, scale_res2: bool = scale_res2) -> tuple[int, ...]:
                return target.widths(base, factor, scale_res2)

            width = _factor(widths, wanted, _on_base(near, base) if near else None)
            if width is not None:
                yield base, scale_res2, width


def _on_base(near: Arguments, base: int) -> float:
    """Return the width factor that scales another base to the same channels."""
    return near.width if base == near.base else round(near.width * near.base / base, _DIGITS)


def _factor(
    integers: Callable[[float], tuple[int, ...]], wanted: tuple[int, ...], near: float | None
) -> float | None:
    """Return a factor that gives the wanted integers: `near` if it does, else the shortest decimal.

    The integers are computed from exactly the decimal that will be written, so that rounding errors of floats
    are the same as in the target.

    Args:
        integers: gives the integers for a factor; none of them falls as the factor grows.
        wanted: the integers to reach.
        near: a factor to prefer.

    Returns:
        The factor; None where none gives the wanted integers.
    """
    if near is not None and integers(near) == wanted:
        return near
    grid, scale = range(1, _LARGEST * 10**_DIGITS), 10**_DIGITS
    low, high = 1, grid.stop
    for index, value in enumerate(wanted):

        def integer(at: int, index: int = index) -> int:
            return integers(at / scale)[index]

        low = max(low, 1 + bisect_left(grid, value, key=integer))
        high = min(high, 1 + bisect_left(grid, value + 1, key=integer))
    for digits in range(_DIGITS + 1):
        step = 10 ** (_DIGITS - digits)
        at: int = -(-low // step) * step
        if at < high:
            return float(at / scale)
    return None


def closest_arguments(target: Target, searched: Architecture, near: Arguments | None) -> Arguments:
    """Return the model's own factors as arguments, or without those, arguments for a similar network."""
    base = target.base or (near.base if near else 12)
    if near is not None:
        return Arguments(
            width=_on_base(near, base),
            bottleneck=near.bottleneck,
            depth=near.depth,
            base=base,
            hidden=searched.head_width,
        )
    stages = searched.stages
    channels = sum(stage.width for stage in stages)
    return Arguments(
        width=round(channels / sum(target.bases(base)[1:]), 2),
        bottleneck=_bottleneck(searched, None)
        or round(sum(stage.inner_width for stage in stages) / channels, 2),
        depth=_depth(searched, None) or round(sum(stage.depth for stage in stages) / sum(DEPTHS), 1),
        base=base,
        hidden=searched.head_width,
    )


def _integers(network: Architecture) -> tuple[object, ...]:
    stages = tuple((s.width, s.inner_width, s.squeeze_width, s.depth) for s in network.stages)
    return network.stem_width, stages, network.conv5_width, network.head_width
