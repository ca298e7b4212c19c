"""Latency as a cost, by a pace that is made up."""

from __future__ import annotations

import pytest

from expand.config.search import from_values
from expand.search.base import Scored
from expand.search.conformance import check_cost
from expand.search.costs import load_cost
from expand.search.expansion import Expansion
from expand.search.latency import LATENCY, LatencyCost, Pace
from expand.search.setup import problem_of
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace
from tests.expand.profiles import PROFILE, pace_of
from tests.expand.search.followed import followed
from tests.expand.toy import ToySpace

SPACE = X3DSpace(size=64)
PACE: Pace = pace_of(SPACE)


def test_it_is_a_cost_like_others() -> None:
    check_cost(LatencyCost(PACE), SPACE)


def test_it_is_the_sum_of_the_work_at_the_devices_pace() -> None:
    architecture = SPACE.architecture(SPACE.start)
    expected = sum(
        part.count * amount * PACE[part.kind][name]
        for part in SPACE.parts(architecture, 10)
        for name, amount in part.work.items()
    )
    cost = LatencyCost(PACE)
    assert cost.value(SPACE, SPACE.start, 10) == round(expected)
    assert (cost.short(5_250_000), cost.show(5_250_000)) == ("5.25ms", "5.25 ms")


def test_a_search_to_milliseconds_meets_them() -> None:
    config = from_values(
        {
            "space": {"settings": {"size": 64}},
            "search": {"targets": ["8ms"], "at_most": ["4MB"], "profile": PROFILE},
            "training": {"init": "scratch"},
        },
        "test",
    )
    assert (config.search.targets, config.search.cost) == ((8_000_000,), LATENCY)
    problem = problem_of(config, 10)
    rounds, found = followed(
        Expansion().search(problem), lambda round_: [Scored(score=0.5)] * len(round_.trainings)
    )
    assert {one.name for one in found.targets} == {"target-8ms"}
    assert 5_000_000 < found.targets[0].candidate.cost <= 8_000_000
    assert all(
        problem.limits[0].cost.value(SPACE, one.point, 10) <= 4_000_000 for one in rounds[-1].candidates
    )


def test_without_a_profile_it_is_said_how_to_measure_one() -> None:
    with pytest.raises(UserError, match=r"^latency needs a profile .*xpand profile --out"):
        load_cost(LATENCY)


def test_a_profile_of_another_space_is_refused() -> None:
    config = from_values(
        {"space": {"name": "tests.expand.toy:ToySpace"}, "search": {"targets": ["8ms"], "profile": PROFILE}},
        "test",
    )
    with pytest.raises(UserError, match=r"^search\.profile must be of the space tests.* got one of x3d: "):
        problem_of(config)
    with pytest.raises(
        UserError, match=r"^latency can be predicted in a space .* but ToySpace has no method parts"
    ):
        LatencyCost(PACE).value(ToySpace(), ToySpace().start, 10)
    with pytest.raises(UserError, match=r"it has no pace for 'stem': measure this space"):
        LatencyCost({}).value(SPACE, SPACE.start, 10)
