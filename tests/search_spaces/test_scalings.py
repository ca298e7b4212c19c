"""How X3D networks are scaled where nothing is searched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.base import scalings_of
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.factors import PUBLISHED
from tests.expand.toy import ToySpace

SPACES = {"X2D": X3DSpace(), "small": X3DSpace(size=40, frames=2, stride=34)}


def test_the_way_of_the_published_networks_passes_each_of_them() -> None:
    space = SPACES["X2D"]
    at = scalings_of(space)["published"]
    for place, name in enumerate(PUBLISHED):
        point, theirs = at(place / (len(PUBLISHED) - 1)), published(name).factors
        assert space.architecture(point) == space.architecture(theirs)
        assert space.sampling(point) == space.sampling(theirs)


@pytest.mark.parametrize("name", ["published", "compound"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(scale=st.floats(0, 1), more=st.floats(0, 1))
def test_the_cost_never_falls_and_sizes_are_whole(
    space: X3DSpace, name: str, scale: float, more: float
) -> None:
    at = scalings_of(space)[name]
    low, high = sorted((scale, more))
    costs = [space.complexity(space.architecture(at(one)), 10).macs for one in (0.0, low, high)]
    assert costs == sorted(costs)
    assert space.architecture(at(0.0)) == space.architecture(space.start)
    clip, point = space.sampling(at(high)), at(high)
    assert (clip.size - space.basis.size) % space.basis.size_multiple == 0
    assert point.frames * space.basis.frames == pytest.approx(clip.frames)


def test_compound_factors_are_all_alike_but_for_whole_numbers() -> None:
    point = scalings_of(SPACES["X2D"])["compound"](0.4)
    assert point.rate == point.width == point.depth == point.bottleneck == pytest.approx(4.0)
    assert 3 <= point.frames <= 4
    assert 3.9 < point.size <= 4


def test_a_space_may_have_none() -> None:
    assert scalings_of(ToySpace()) == {}
