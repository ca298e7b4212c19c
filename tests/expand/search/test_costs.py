from __future__ import annotations

import pytest

from expand.config.search import SearchConfig
from expand.search.base import Problem, Scored
from expand.search.costs import COSTS, load_cost
from expand.search.expansion import Expansion
from expand.search.strategies import load_strategy
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace

SPACE = X3DSpace(size=64)


def test_a_target_names_what_is_counted() -> None:
    def read(*targets: object, **options: object) -> tuple[tuple[int, ...], str]:
        options_ = SearchConfig.model_validate({"targets": targets, **options})
        return options_.targets, options_.cost

    assert read("80M") == ((80_000_000,), "macs")
    assert read("1.5Mparams", "2M params") == ((1_500_000, 2_000_000), "params")
    assert read("400Kact") == ((400_000,), "activations")
    assert read(1_500_000, cost="params") == ((1_500_000,), "params")  # as a run's config.yaml has it
    assert read("1.5M", cost="params") == ((1_500_000,), "params")
    for wrong in ({"targets": ["80M", "1Mparams"]}, {"targets": ["1Mparams"], "cost": "macs"}):
        with pytest.raises(ValueError, match="targets must have one unit"):
            SearchConfig.model_validate(wrong)


def test_values_are_those_of_the_space_and_short_forms_are_targets() -> None:
    complexity = SPACE.complexity(SPACE.architecture(SPACE.start), 10)
    for name, cost in COSTS.items():
        assert cost.value(SPACE, SPACE.start, 10) == getattr(complexity, name)
        options = SearchConfig.model_validate({"targets": [cost.short(1_500_000)]})
        assert (options.targets, options.cost) == ((1_500_000,), name)


def test_axes_that_do_not_change_the_cost_are_free() -> None:
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[6_000_000], cost=COSTS["params"])
    search = Expansion().search(problem)
    next(search)
    round_ = search.send([Scored(score=0.5)])
    assert round_.free == ("fast", "temporal", "spatial")
    assert [one.axis for one in round_.candidates] == ["depth", "width", "bottleneck"]
    start = problem.start.cost
    assert all(start < one.cost <= 2 * start for one in round_.candidates)


class Blocks:
    """The number of blocks of a network."""

    name, unit = "blocks", "blocks"

    def value(self, space: object, point: object, num_classes: int) -> int:
        architecture = SPACE.architecture(point)  # type: ignore[arg-type]
        return sum(stage.depth for stage in architecture.stages)

    def short(self, value: int) -> str:
        return f"{value}blocks"


def test_one_of_ones_own_is_named_by_its_module() -> None:
    cost = load_cost("tests.expand.search.test_costs:Blocks")
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[20], cost=cost)
    search = Expansion().search(problem)
    assert next(search).candidates[0].cost == 11
    round_ = search.send([Scored(score=0.5)])
    assert [one.axis for one in round_.candidates] == ["depth"]
    assert problem.target_name(20) == "target-20blocks"


def test_names_that_lead_nowhere_are_refused() -> None:
    with pytest.raises(UserError, match=r"^search\.cost must be one of macs, params, activations, or"):
        load_cost("seconds")
    with pytest.raises(
        UserError,
        match=r"^search\.strategy must be one of expansion, random, hand-scaled, tpe, nsga2, or your own",
    ):
        load_strategy(SearchConfig(strategy="best"))
    with pytest.raises(UserError, match=r"^search\.settings do not fit random: .*'nets'"):
        load_strategy(SearchConfig(strategy="random", settings={"nets": 3}))
    with pytest.raises(UserError, match=r"lacks search: add it, and run expand\.search\.conformance on"):
        load_strategy(SearchConfig(strategy="tests.expand.search.test_costs:Blocks"))
