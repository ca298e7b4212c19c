"""The tests that a search space and its axes must pass.

A space of your own inherits them all:

    from search_spaces.conformance import SpaceConformance

    class TestMySpace(SpaceConformance):
        def space(self):
            return MySpace(size=32)  # a small one: its start network is built and run

and pytest, pointed at that file, runs every check. The checks are plain asserts, so nothing is imported here
but what they need.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from search_spaces.base import Axis, ClipSampling, Complexity, SearchSpace, growth_of, scalings_of

if TYPE_CHECKING:
    from torch import nn

SpaceT = SearchSpace[Any, Any]


class SpaceConformance:
    """Tests of a search space; subclass it under a name that starts with `Test` and override `space`.

    Attributes:
        counted_classes: the number of classes that the space's `complexity` counts by default.
        steps: how many steps every axis is followed, up and down.
        steps_to_growth: within how many steps up every axis must reach a more expensive network.
        scales: at how many scales networks that are scaled by hand are compared.
    """

    counted_classes: int = 400
    steps: int = 60
    steps_to_growth: int = 60
    scales: int = 20

    def space(self) -> SpaceT:
        raise NotImplementedError("say which space is tested: return it from space().")

    # The space

    def test_space_is_a_value(self) -> None:
        space = self.space()
        assert hash(space) == hash(self.space())
        assert space == self.space()
        assert pickle.loads(pickle.dumps(space)) == space  # noqa: S301 - our own bytes

    def test_start_has_an_architecture_a_sampling_and_a_cost(self) -> None:
        space = self.space()
        architecture = space.architecture(space.start)
        assert architecture == space.architecture(space.start)
        assert isinstance(space.sampling(space.start), ClipSampling)
        cost = space.complexity(architecture)
        assert min(cost.macs, cost.params, cost.activations) > 0

    def test_points_and_architectures_are_hashable_and_survive_json(self) -> None:
        space = self.space()
        for point in self._points():
            again = space.point_from_json(_through_json(space.point_to_json(point)))
            assert again == point
            assert hash(again) == hash(point)
            architecture = space.architecture(point)
            again = space.architecture_from_json(_through_json(space.architecture_to_json(architecture)))
            assert again == architecture
            assert hash(again) == hash(architecture)

    def test_every_factor_is_described(self) -> None:
        space = self.space()
        for point in self._points():
            words = space.describe(point)
            assert words.keys() == space.point_to_json(point).keys()
            for factor, text in words.items():
                assert isinstance(text, str), f"{factor} must be described in words, got {text!r}"
                assert text, f"{factor} must be described in words, got none"
                assert "\n" not in text, f"{factor} must be described in a line, got {text!r}"

    def test_stages_add_up_to_the_whole(self) -> None:
        space = self.space()
        for point in self._points():
            _check_sums(space.complexity(space.architecture(point)))

    # The axes

    def test_axes_are_found_under_their_own_names(self) -> None:
        axes = self.space().axes
        assert axes, "a space must have at least one axis"
        for name, axis in axes.items():
            assert name == axis.name
            assert name.isidentifier(), f"an axis is named by one word, got {name!r}"
            assert name.islower(), f"an axis is named in lower case, got {name!r}"
            assert axis.label

    def test_move_by_nothing_is_the_identity(self) -> None:
        space = self.space()
        for point in self._points():
            for axis in space.axes.values():
                assert axis.move(space, point, 0) == point

    def test_move_is_a_pure_function(self) -> None:
        space = self.space()
        for axis in space.axes.values():
            for steps in (-1, 1, 5):
                assert axis.move(space, space.start, steps) == axis.move(space, space.start, steps)

    def test_more_steps_are_never_cheaper(self) -> None:
        space = self.space()
        for axis in space.axes.values():
            costs = self._costs(axis, space.start, up=True)
            assert all(cost <= dearer for cost, dearer in pairwise(costs)), (
                f"the cost along {axis.name} falls as steps grow: {costs}"
            )

    def test_steps_down_are_never_more_expensive(self) -> None:
        space = self.space()
        for axis in space.axes.values():
            for point in (space.start, self._grown(axis)):
                costs = self._costs(axis, point, up=False)
                assert all(cost >= cheaper for cost, cheaper in pairwise(costs)), (
                    f"the cost along {axis.name} rises as steps fall: {costs}"
                )

    def test_an_axis_that_ended_has_ended(self) -> None:
        space = self.space()
        for axis in space.axes.values():
            for sign in (-1, 1):
                exists = [axis.move(space, space.start, sign * n) is not None for n in range(self.steps + 1)]
                assert exists == sorted(exists, reverse=True), (
                    f"{axis.name} ends and begins again, {sign:+d} times steps 0 to {self.steps}"
                )

    def test_every_axis_grows_the_network_soon(self) -> None:
        space = self.space()
        start = space.complexity(space.architecture(space.start)).macs
        for axis in space.axes.values():
            assert space.complexity(space.architecture(self._grown(axis))).macs > start

    def test_a_growth_can_be_contracted(self) -> None:
        space = self.space()
        for axis in space.axes.values():
            costs = self._costs(axis, self._grown(axis), up=False)
            assert costs[-1] < costs[0], (
                f"no step down from a growth along {axis.name} makes it cheaper: {costs}"
            )

    # Other sizes

    def test_at_its_own_size_a_network_is_what_it_is(self) -> None:
        space = self.space()
        for point in self._points():
            architecture, size = space.architecture(point), space.sampling(point).size
            assert space.resized(architecture, size) == architecture
            for other in self._sizes(size):
                assert space.resized(space.resized(architecture, other), size) == architecture

    def test_a_larger_size_costs_no_less_and_keeps_the_parameters(self) -> None:
        space = self.space()
        for point in self._points():
            architecture = space.architecture(point)
            sizes = (space.sampling(point).size, *self._sizes(space.sampling(point).size))
            costs = [space.complexity(space.resized(architecture, size)) for size in sizes]
            for cost in costs:
                _check_sums(cost)
            macs = [cost.macs for cost in costs]
            assert macs == sorted(macs), f"a larger size must cost no less: {sizes} pixels cost {macs}"
            params = {cost.params for cost in costs}
            assert len(params) == 1, f"a network has the same parameters at any size, got {params}"

    def test_the_example_is_clips_of_the_networks_kind(self) -> None:
        import torch

        space = self.space()
        for point in self._points():
            architecture, sampling = space.architecture(point), space.sampling(point)
            for size in (sampling.size, *self._sizes(sampling.size)):
                clips = space.example(space.resized(architecture, size), 2)
                wanted = (2, 3, sampling.frames, size, size)
                assert tuple(clips.shape) == wanted, (
                    f"two clips of {size} pixels must be {wanted}, got {tuple(clips.shape)}"
                )
                assert clips.dtype == torch.float32
                assert not clips.any(), "every number of an example is 0"

    # The network

    def test_start_network_turns_clips_into_logits(self) -> None:
        import torch

        space = self.space()
        architecture = space.architecture(space.start)
        network = space.build(architecture, 5, dropout=0.0, residual_start=1.0).eval()
        clips = torch.rand_like(space.example(architecture, 2))
        with torch.inference_mode():
            logits = network(clips)
        assert logits.shape == (2, 5)
        assert torch.isfinite(logits).all()

    def test_start_network_takes_larger_clips(self) -> None:
        """Tests with 30 views use larger clips than trainings."""
        import torch

        space = self.space()
        architecture = space.architecture(space.start)
        network = space.build(architecture, 5, dropout=0.0, residual_start=1.0).eval()
        for size in self._sizes(space.sampling(space.start).size):
            clips = torch.rand_like(space.example(space.resized(architecture, size), 2))
            with torch.inference_mode():
                logits = network(clips)
            assert logits.shape == (2, 5), f"clips of {size} pixels must give logits (2, 5)"
            assert torch.isfinite(logits).all()

    def test_every_parameter_gets_a_gradient(self) -> None:
        import torch

        space = self.space()
        architecture = space.architecture(space.start)
        for residual_start in (0.0, 0.2, 1.0):
            network = space.build(architecture, 5, dropout=0.0, residual_start=residual_start)
            clips = torch.rand_like(space.example(architecture, 4))
            network(clips).square().sum().backward()
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None, f"{name} gets no gradient"
                assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"

    def test_parameters_are_those_of_the_closed_form(self) -> None:
        import torch

        space = self.space()
        for point in self._points():
            architecture = space.architecture(point)
            with torch.device("meta"):
                network = space.build(architecture, self.counted_classes)
            assert sum(p.numel() for p in network.parameters()) == space.complexity(architecture).params

    # Growth, of spaces that have a method `grow`

    def test_a_grown_network_starts_as_its_parent(self) -> None:
        import torch

        space, trained = self.space(), self._trained()
        if growth_of(space) is None:
            return
        for axis in space.axes.values():
            point = self._grown(axis)
            if space.sampling(point).frames != space.sampling(space.start).frames:
                continue  # the two networks take no clip that is the same
            child = self._child(trained, point)
            clips = torch.rand_like(space.example(space.architecture(point), 2), dtype=torch.float64)
            for training in (False, True):
                with torch.no_grad():
                    logits, wanted = child.train(training)(clips), trained.train(training)(clips)
                difference = float((logits - wanted).abs().max())
                assert difference < 1e-10, (
                    f"grown along {axis.name}, a network must start as its parent, but logits differ by "
                    f"{difference:.1e} in {'training' if training else 'evaluation'}"
                )

    def test_growth_is_a_pure_function(self) -> None:
        import torch

        space, trained = self.space(), self._trained()
        if (grow := growth_of(space)) is None:
            return
        before = {name: value.clone() for name, value in trained.state_dict().items()}
        start = space.architecture(space.start)
        for point in self._points():
            once, again = (grow(start, trained.state_dict(), space.architecture(point), 1) for _ in range(2))
            for name, value in once.items():
                assert torch.equal(value, again[name]), f"{name} must follow from the seed"
                value.zero_()
        for name, value in trained.state_dict().items():
            assert torch.equal(value, before[name]), f"{name} of the parent must not be changed"

    def test_a_contraction_gets_weights_too(self) -> None:
        space, trained = self.space(), self._trained()
        if (grow := growth_of(space)) is None:
            return
        start, network = space.architecture(space.start), self._network(space.start)
        for axis in space.axes.values():
            larger = space.architecture(self._grown(axis))
            grown = grow(start, trained.state_dict(), larger, 1)
            network.load_state_dict(grow(larger, grown, start, 1))

    # Scaling by hand, of spaces that have a member `scalings`

    def test_networks_that_are_scaled_by_hand_never_get_cheaper(self) -> None:
        space = self.space()
        for name, at in scalings_of(space).items():
            start = space.architecture(at(0.0))
            assert start == space.architecture(space.start), f"scaled by {name}, 0 must be the start"
            points = [at(step / self.scales) for step in range(self.scales + 1)]
            costs = [space.complexity(space.architecture(point)).macs for point in points]
            assert costs == sorted(costs), f"scaled by {name}, the cost falls: {costs}"
            assert costs[-1] > costs[0], f"scaled by {name}, networks must grow"

    # What the checks share

    def _network(self, point: Any) -> nn.Module:
        """Return the network at a point, in float64 and for 5 classes."""
        space = self.space()
        return space.build(space.architecture(point), 5, dropout=0.0, residual_start=1.0).double()

    def _trained(self) -> nn.Module:
        """Return the start network with other numbers than a fresh one has."""
        import torch

        torch.manual_seed(0)
        network = self._network(self.space().start)
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
        return network

    def _child(self, trained: nn.Module, point: Any) -> nn.Module:
        """Return the network at a point, grown from the start network."""
        space = self.space()
        grow, network = growth_of(space), self._network(point)
        assert grow is not None
        start, child = space.architecture(space.start), space.architecture(point)
        network.load_state_dict(grow(start, trained.state_dict(), child, 1))
        return network

    def _sizes(self, size: int) -> tuple[int, int]:
        """Return larger sizes that networks must take: the next even one, and that of 30-view tests."""
        even = size + 2 - size % 2
        return even, max(even, 2 * round(size * 182 / 320))

    def _points(self) -> Iterator[Any]:
        """Yield the start, and the first larger network along every axis."""
        space = self.space()
        yield space.start
        for axis in space.axes.values():
            yield self._grown(axis)

    def _grown(self, axis: Axis[Any]) -> Any:
        space = self.space()
        start = space.complexity(space.architecture(space.start)).macs
        for steps in range(1, self.steps_to_growth + 1):
            point = axis.move(space, space.start, steps)
            if point is not None and space.complexity(space.architecture(point)).macs > start:
                return point
        raise AssertionError(f"{axis.name} must grow the network within {self.steps_to_growth} steps")

    def _costs(self, axis: Axis[Any], point: Any, *, up: bool) -> list[int]:
        """Return the MACs at 0, 1, 2, … steps, up to `self.steps` or the end of the axis."""
        space = self.space()
        costs = []
        for steps in range(self.steps + 1):
            moved = axis.move(space, point, steps if up else -steps)
            if moved is None:
                break
            costs.append(space.complexity(space.architecture(moved)).macs)
        return costs


def _through_json(values: Any) -> Any:
    return json.loads(json.dumps(values, allow_nan=False))


def _check_sums(cost: Complexity) -> None:
    assert cost.stages, "complexity must be given stage by stage, too"
    for quantity in ("macs", "params", "activations"):
        whole = getattr(cost, quantity)
        parts = [getattr(stage, quantity) for stage in cost.stages]
        assert sum(parts) == whole, f"{quantity} of the stages {parts} must add up to {whole}"
