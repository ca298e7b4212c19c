from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import pytest

from expand.search.base import Outcome, Problem, Round, Strategy, Trajectory
from expand.search.conformance import check_cost, check_strategy
from expand.search.costs import COSTS, MACS, Cost, ExactCost
from expand.search.expansion import Expansion
from expand.search.hand_scaled import HandScaled
from expand.search.random_networks import RandomNetworks
from expand.search.samplers import NSGA2, TPE
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace
from tests.expand.toy import ToySpace

SPACE = X3DSpace(size=64)
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "expansion": Expansion,
    "expansion in small steps": lambda: Expansion(step=1.5),
    "random": lambda: RandomNetworks(networks=3),
    "hand-scaled": HandScaled,
    "tpe": lambda: TPE(networks=6, batch=3),
    "nsga2": lambda: NSGA2(networks=9, batch=4),
}


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize(
    ("cost", "targets"),
    [("macs", [30_000_000, 60_000_000]), ("params", [4_000_000]), ("activations", [800_000])],
)
def test_ours_do(make: Callable[[], Strategy], cost: str, targets: list[int]) -> None:
    check_strategy(
        make, Problem(space=SPACE, axes=SPACE.axes, targets=targets, cost=COSTS[cost], seeds=(3, 4))
    )


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_our_costs_do(cost: Cost) -> None:
    check_cost(cost, SPACE)


@pytest.mark.parametrize("name", ["macs", "params", "activations", "weights"])
def test_our_costs_do_with_a_space_of_ones_own(name: str) -> None:
    check_cost(COSTS[name], ToySpace())


def test_a_space_that_does_not_say_what_is_in_memory_at_once_has_no_peak() -> None:
    with pytest.raises(
        UserError, match=r"^the cost peak needs a space that says .* but ToySpace has no method"
    ):
        check_cost(COSTS["peak"], ToySpace())


class Falling(ExactCost):
    def value(self, space: object, point: object, num_classes: int) -> int:
        return 10**12 // super().value(space, point, num_classes)  # type: ignore[arg-type]


class Greedy(Expansion):
    """Says that a target is met by a network that costs more."""

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        found = yield from super().search(problem)
        last = found.states[-1].candidate
        return replace(found, targets=tuple(replace(one, candidate=last) for one in found.targets))


class Moody(Expansion):
    """Decides otherwise each time."""

    turns = 0

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        Moody.turns += 1
        return Expansion(step=1.5 + 0.1 * Moody.turns).search(problem)


class Astray(Expansion):
    """Names an axis that there is not."""

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        start = replace(problem.start, axis="hight")
        round_ = Round(number=0, kind="start", trainings=problem.trainings([start]))
        state = round_.best((yield round_))
        return Trajectory(states=(state,), targets=(problem.met_by(state, problem.targets[0]),))


def test_what_does_not_hold_is_said() -> None:
    with pytest.raises(AssertionError, match="must not fall along"):
        check_cost(Falling("macs", "MACs", MACS.count), SPACE)
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[30_000_000])
    with pytest.raises(AssertionError, match="must be within its target"):
        check_strategy(Greedy, problem)
    with pytest.raises(AssertionError, match="equal outcomes must give equal rounds"):
        check_strategy(Moody, problem)
    with pytest.raises(
        AssertionError, match="the axis of start must be one of the problem's or None, got 'hight'"
    ):
        check_strategy(Astray, problem)
    with pytest.raises(AssertionError, match="the name must be none of frames, stride, size"):
        check_cost(ExactCost("size", "pixels", MACS.count), SPACE)
    with pytest.raises(
        AssertionError, match="the name must be letters, digits and underscores, got 'my cost'"
    ):
        check_cost(ExactCost("my cost", "pixels", MACS.count), SPACE)
