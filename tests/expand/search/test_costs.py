from __future__ import annotations

from dataclasses import replace

import pytest

from expand.config.search import SearchConfig
from expand.search.base import Limit, Problem, Scored, Strategy
from expand.search.costs import COSTS, load_cost
from expand.search.expansion import Expansion
from expand.search.hand_scaled import HandScaled
from expand.search.random_networks import RandomNetworks
from expand.search.strategies import load_strategy
from expand.system.errors import RunFailed, UserError
from search_spaces.x3d import X3DSpace
from tests.expand.search.followed import followed

SPACE = X3DSpace(size=64)


def test_a_target_names_what_is_counted() -> None:
    def read(*targets: object, **options: object) -> tuple[tuple[int, ...], str]:
        options_ = SearchConfig.model_validate({"targets": targets, **options})
        return options_.targets, options_.cost

    assert read("80M") == ((80_000_000,), "macs")
    assert read("1.5Mparams", "2M params") == ((1_500_000, 2_000_000), "params")
    assert read("400Kact") == ((400_000,), "activations")
    assert read("6MB", "1.5 MB") == ((6_000_000, 1_500_000), "weights")
    assert read("peak 50MB", "peak-1.25GB") == ((50_000_000, 1_250_000_000), "peak")
    assert read(1_500_000, cost="params") == ((1_500_000,), "params")  # as a run's config.yaml has it
    assert read("1.5M", cost="params") == ((1_500_000,), "params")
    for wrong in ({"targets": ["80M", "1Mparams"]}, {"targets": ["1Mparams"], "cost": "macs"}):
        with pytest.raises(ValueError, match="targets must have one unit"):
            SearchConfig.model_validate(wrong)


def test_values_are_those_of_the_space_and_short_forms_are_targets() -> None:
    architecture = SPACE.architecture(SPACE.start)
    complexity = SPACE.complexity(architecture, 10)
    found = {name: cost.value(SPACE, SPACE.start, 10) for name, cost in COSTS.items()}
    assert found == {
        "macs": complexity.macs,
        "params": complexity.params,
        "activations": complexity.activations,
        "weights": 4 * complexity.params,
        "peak": 4 * SPACE.peak(architecture, 10),
    }
    for name, cost in COSTS.items():
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


def test_no_network_passes_a_limit() -> None:
    config = SearchConfig(targets=(200_000_000,), at_most=("1.2Mparams", "peak 2 MB"))
    assert config.at_most == ("1.2Mparams", "peak-2MB")
    limits = [Limit(cost=COSTS[name], amount=amount) for amount, name in config.limits]
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[200_000_000], num_classes=10, limits=limits)
    seen = dict.fromkeys(("params", "peak"), 0)
    for preferred in SPACE.axes:
        rounds, found = followed(
            Expansion().search(problem),
            lambda round_, preferred=preferred: [  # type: ignore[misc]
                Scored(score=float(one.candidate.axis == preferred)) for one in round_.trainings
            ],
        )
        networks = [one for round_ in rounds for one in round_.candidates]
        assert found.targets[0].candidate in networks
        for limit in limits:
            values = [limit.cost.value(SPACE, one.point, 10) for one in networks]
            seen[limit.cost.name] = max(seen[limit.cost.name], *values)
    assert 0.95 < seen["params"] / 1_200_000 <= 1  # the limits were reached, and not passed
    assert 0.95 < seen["peak"] / 2_000_000 <= 1


@pytest.mark.parametrize("strategy", [RandomNetworks(networks=5, within=0.5), HandScaled()])
def test_other_strategies_keep_to_limits(strategy: Strategy) -> None:
    limit = Limit(cost=COSTS["params"], amount=1_150_000)
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[80_000_000], num_classes=10, limits=[limit])
    rounds, _ = followed(strategy.search(problem), lambda round_: [Scored(score=0.5)] * len(round_.trainings))
    costs = [limit.cost.value(SPACE, one.point, 10) for round_ in rounds for one in round_.candidates]
    assert len(costs) > 1
    assert max(costs) <= limit.amount


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(
        ValueError, match="at_most must have amounts of different costs, none of them macs, got 80M"
    ):
        SearchConfig(targets=(80_000_000,), at_most=("80M",))
    with pytest.raises(ValueError, match="none of them macs, got 6MB, 5MB"):
        SearchConfig(targets=(80_000_000,), at_most=("6MB", "5MB"))
    limit = Limit(cost=COSTS["weights"], amount=1_000_000)
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[80_000_000], num_classes=10, limits=[limit])
    with pytest.raises(
        UserError, match=r"--at-most must be at least the start network's 3\.34 MB weights, got 1 MB"
    ):
        problem.check_targets()


def test_where_limits_leave_no_axis_to_grow_along_the_search_ends_with_what_it_has() -> None:
    limit = Limit(cost=COSTS["params"], amount=900_000)
    axes = {name: SPACE.axes[name] for name in ("width", "depth")}
    problem = Problem(space=SPACE, axes=axes, targets=[80_000_000], num_classes=10, limits=[limit])
    answer = lambda round_: [Scored(score=0.5)] * len(round_.trainings)  # noqa: E731
    _, found = followed(Expansion().search(problem), answer)
    assert len(found.states) > 1
    assert found.stopped is not None
    assert "its cost and 900 K parameters, but the target is 80 M MACs: allow higher limits" in found.stopped
    with pytest.raises(
        RunFailed, match=r"^no axis can grow from step-0 .* allow more axes or a larger search\.step\.$"
    ):
        followed(Expansion(step=1.001).search(replace(problem, limits=())), answer)


class Blocks:
    """The number of blocks of a network."""

    name, unit = "blocks", "blocks"

    def value(self, space: object, point: object, num_classes: int) -> int:
        architecture = SPACE.architecture(point)  # type: ignore[arg-type]
        return sum(stage.depth for stage in architecture.stages)

    def short(self, value: int) -> str:
        return f"{value}blocks"

    def show(self, value: float) -> str:
        return f"{value:g}"


def test_one_of_ones_own_is_named_by_its_module() -> None:
    cost = load_cost("tests.expand.search.test_costs:Blocks")
    problem = Problem(space=SPACE, axes=SPACE.axes, targets=[20], cost=cost)
    search = Expansion().search(problem)
    assert next(search).candidates[0].cost == 11
    round_ = search.send([Scored(score=0.5)])
    assert [one.axis for one in round_.candidates] == ["depth"]
    assert problem.target_name(20) == "target-20blocks"


def test_names_that_lead_nowhere_are_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"^search\.cost must be one of macs, params, activations, weights, peak, predicted_latency, or",
    ):
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
