"""The work of the parts of an X3D network."""

from __future__ import annotations

from collections import Counter

import pytest

from search_spaces.base import Part
from search_spaces.x3d import Factors, X3DSpace, published

SPACE = X3DSpace(size=64)


@pytest.mark.parametrize("name", ["x3d-xs", "x3d-m", "x3d-l"])
def test_multiply_adds_of_the_parts_are_those_of_the_network(name: str) -> None:
    space = X3DSpace()
    architecture = space.architecture(published(name).factors)
    parts = space.parts(architecture, 400)
    macs = total(parts, "MACs") - total(parts, "halving MACs")  # also among the depthwise ones
    linear = sum(part.work["weights"] for part in parts if part.kind == "head")
    conv5 = architecture.stages[-1].width * architecture.conv5_width
    squeeze_excite = total(parts, "squeeze-excite weights")
    assert macs + linear - conv5 + squeeze_excite == space.complexity(architecture, 400).macs


def total(parts: list[Part], ending: str) -> float:
    return sum(
        part.count * amount for part in parts for name, amount in part.work.items() if name.endswith(ending)
    )


def test_there_are_as_many_blocks_as_the_network_has() -> None:
    architecture = SPACE.architecture(published("x3d-l").factors)
    counts = Counter[str]()
    for part in SPACE.parts(architecture):
        counts[part.kind] += part.count
    assert counts == {"stem": 1, "block": sum(stage.depth for stage in architecture.stages), "head": 1}


def total_work(point: Factors) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for part in SPACE.parts(SPACE.architecture(point), 10):
        for name, amount in part.work.items():
            found[part.kind, name] = found.get((part.kind, name), 0) + part.count * amount
    return found


@pytest.mark.parametrize("name", SPACE.axes)
def test_no_work_falls_along_an_axis(name: str) -> None:
    point, before = SPACE.start, dict[tuple[str, str], float]()
    for _ in range(12):
        work = total_work(point)
        assert all(work[key] >= amount for key, amount in before.items())
        before = work
        moved = SPACE.axes[name].move(SPACE, point, 4)
        if moved is None:  # the stride can't be halved any more
            break
        point = moved
    assert before != total_work(SPACE.start)
