from __future__ import annotations

import pytest

from expand.search.base import Failed, Outcome, Problem, Scored
from expand.search.costs import COSTS
from expand.search.random_networks import RandomNetworks
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace
from tests.expand.toy import ToySpace

SPACE = X3DSpace(size=64)


def test_networks_lie_just_below_each_target_and_the_best_is_kept() -> None:
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[60_000_000, 30_000_000])
    search = RandomNetworks(networks=5).search(problem)
    low = next(search)
    high = search.send([Scored(score=score) for score in (0.1, 0.4, 0.2, 0.4, 0.3)])
    for round_, target in ((low, 30_000_000), (high, 60_000_000)):
        assert len(round_.candidates) == 5
        assert all(0.9 * target <= one.macs <= target for one in round_.candidates)
        assert len({repr(SPACE.architecture(one.point)) for one in round_.candidates}) == 5
    outcomes: list[Outcome] = [Failed(reason="out of memory")] * 4 + [Scored(score=0.0)]
    with pytest.raises(StopIteration) as end:
        search.send(outcomes)
    first, second = end.value.value.targets
    tied = [low.candidates[1], low.candidates[3]]
    assert first.candidate == min(tied, key=lambda one: one.cost)  # of two equal ones the cheaper
    assert (first.name, first.outcome) == ("target-30M", Scored(score=0.4))
    assert (second.name, second.candidate) == ("target-60M", high.candidates[4])
    assert end.value.value.states == ()


def test_another_seed_draws_other_networks_and_all_axes_are_drawn_from() -> None:
    def points(seed: int) -> list[object]:
        problem = Problem(space=SPACE, axes=SPACE.axes, targets=[60_000_000], seeds=(seed,))
        return [one.point for one in next(RandomNetworks(networks=30).search(problem)).candidates]

    assert points(0) == points(0) != points(1)
    drawn = points(0)
    for factor in ("frames", "size", "width", "bottleneck", "depth"):
        assert len({getattr(point, factor) for point in drawn}) > 1, factor


def test_axes_that_no_target_limits_are_left_alone() -> None:
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[4_000_000], cost=COSTS["params"])
    for one in next(RandomNetworks(networks=10).search(problem)).candidates:
        assert SPACE.sampling(one.point) == SPACE.sampling(SPACE.start)


def test_too_few_networks_are_refused_before_anything_is_trained() -> None:
    space = ToySpace()
    problem = Problem(space=space, axes={"width": space.axes["width"]}, targets=[60_000])
    with pytest.raises(UserError) as caught:
        next(RandomNetworks(networks=3).search(problem))
    assert str(caught.value) == (
        "there must be 3 networks that cost between 90% and 100% of a target, but for 60K only 1 were found: "
        "lower search.settings.networks, raise search.settings.within, or choose another target."
    )


@pytest.mark.parametrize("settings", [{"networks": 0}, {"within": 0.0}, {"within": 1.5}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="networks must be at least 1, and within in"):
        RandomNetworks(**settings)  # type: ignore[arg-type]
