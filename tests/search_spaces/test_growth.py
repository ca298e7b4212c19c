"""Growth: a grown network computes what its parent does, along every axis and along several at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.growth import grow
from search_spaces.x3d.layers import MOMENTUM
from search_spaces.x3d.network import X3D
from search_spaces.x3d.space import X3DSpace

# A small basis, so that a network runs in milliseconds.
SMALL: dict[str, Any] = {
    "frames": 2,
    "size": 32,
    "stem_width": 8,
    "widths": (8, 16, 24),
    "depths": (1, 2, 3),
    "head_width": 16,
}
CLASSES = 3
AXES = ("fast", "temporal", "spatial", "depth", "width", "bottleneck")


def at(space: X3DSpace, steps: dict[str, int]) -> Architecture:
    """The network that is some steps away from the start, along several axes."""
    point: Any = space.start
    for name, count in steps.items():
        point = space.axes[name].move(space, point, count)
    return space.architecture(point)


def trained(architecture: Architecture, seen: Architecture | None = None) -> X3D:
    """A network in float64 whose every number differs from that of a fresh one.

    The statistics of BatchNorm are those of its own activations on clips of `seen`: with others, logits of
    deep networks grow without bound, and their rounding with them.
    """
    torch.manual_seed(0)
    network = X3D(architecture, CLASSES, dropout=0.0, residual_start=1.0).double()
    for value in network.parameters():
        value.data.add_(0.1 * torch.rand_like(value))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = 1.0  # the statistics of the next batch alone
    with torch.no_grad():
        network.train()(torch.rand_like(clips(seen or architecture).repeat(4, 1, 1, 1, 1)))
    for norm in norms:
        norm.momentum = MOMENTUM
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.fill_(7)
    return network


def child_of(network: X3D, child: Architecture, seed: int = 1, *, residual_start: float = 1.0) -> X3D:
    weights = grow(network.architecture, network.state_dict(), child, seed, residual_start=residual_start)
    grown = X3D(child, CLASSES, dropout=0.0).double()
    grown.load_state_dict(weights)
    return grown


def clips(architecture: Architecture, *, still: bool = False) -> Tensor:
    torch.manual_seed(2)
    shape = (2, 3, 1 if still else architecture.frames, architecture.size, architecture.size)
    return torch.rand(shape, dtype=torch.float64).expand(-1, -1, architecture.frames, -1, -1)


def difference(one: nn.Module, other: nn.Module, x: Tensor, *, training: bool) -> float:
    with torch.no_grad():
        return float((one.train(training)(x) - other.train(training)(x)).abs().max())


MOST = {"fast": 3, "temporal": 3, "spatial": 2, "depth": 25, "width": 25, "bottleneck": 25}  # steps
growths = st.dictionaries(st.sampled_from(AXES), st.integers(1, 25), min_size=1, max_size=3).map(
    lambda steps: {name: min(count, MOST[name]) for name, count in steps.items()}
)
bases = st.sampled_from(
    [
        {},
        {"norm_every_shortcut": False},
        {"width_multiple": 1},
        {"shortcut": "A"},
        {"stem_width": 8, "widths": (16, 16, 32), "shortcut": "A"},
        {"frames": 3, "head_width": 24},
    ]
)


@given(
    basis=bases,
    before=growths,
    more=growths,
    residual_start=st.sampled_from([0.0, 1.0]),
    training=st.booleans(),
)
@example(
    basis={},
    before={"depth": 14, "width": 11, "bottleneck": 8},
    more={"fast": 1, "width": 3},
    residual_start=0.0,
    training=False,
)
@settings(max_examples=20, deadline=None)
def test_a_grown_network_computes_what_its_parent_does(
    basis: dict[str, Any], before: dict[str, int], more: dict[str, int], residual_start: float, training: bool
) -> None:
    space = X3DSpace(**(SMALL | basis))
    after = {name: before.get(name, 0) + more.get(name, 0) for name in AXES}
    child = at(space, after)
    parent = trained(at(space, before), seen=child)
    grown = child_of(parent, child, residual_start=residual_start)
    assert difference(parent, grown, clips(child), training=training) < 1e-10


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_one_axis_at_a_time(axis: str, training: bool) -> None:
    space = X3DSpace(**SMALL)
    start, child = at(space, {}), at(space, {axis: 20})
    assert start != child
    parent = trained(start)
    grown = child_of(parent, child)
    assert difference(parent, grown, clips(child), training=training) < 1e-10


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("axis", ["fast", "temporal"])
def test_from_a_single_frame_a_still_clip_is_what_the_frame_was(axis: str, training: bool) -> None:
    space = X3DSpace(**(SMALL | {"frames": 1}))
    start, child = at(space, {}), at(space, {axis: 3, "width": 10})
    parent = trained(start)
    grown = child_of(parent, child)
    still = clips(child, still=True)
    assert still.shape[2] == 4
    with torch.no_grad():
        frame = parent.train(training)(still[:, :, :1])
        assert float((frame - grown.train(training)(still)).abs().max()) < 1e-10
    assert float(grown.stem.temporal.weight.detach()[:8, :, [0, 1, 3, 4]].abs().max()) == 0


def test_new_channels_learn() -> None:
    """Fresh outputs under zeros: after two steps nothing that is new is without a gradient."""
    space = X3DSpace(**SMALL)
    child = at(space, {"width": 20, "bottleneck": 5, "depth": 20})
    grown = child_of(trained(at(space, {})), child).train()
    optimizer = torch.optim.SGD(grown.parameters(), lr=0.1)
    labels = torch.tensor([0, 1])
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(grown(clips(child)), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, parameter in grown.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0, name


def test_a_smaller_network_keeps_the_first_channels_and_blocks() -> None:
    space = X3DSpace(**SMALL)
    large, small = at(space, {"width": 20, "depth": 20}), at(space, {})
    parent = trained(large)
    cut = child_of(parent, small)
    before, after = parent.state_dict(), cut.state_dict()
    block = "stages.1.blocks.0"
    for name, kept in (
        ("expand.weight", before[f"{block}.expand.weight"][:16, :8]),
        ("depthwise.weight", before[f"{block}.depthwise.weight"][:16]),
        ("project_norm.running_mean", before[f"{block}.project_norm.running_mean"][:16]),
    ):
        assert torch.equal(after[f"{block}.{name}"], kept), name
    assert torch.equal(cut.head.classifier.bias, parent.head.classifier.bias)


def test_there_and_back_again_is_the_parent() -> None:
    space = X3DSpace(**SMALL)
    start, wider = at(space, {}), at(space, {"width": 20, "bottleneck": 7, "depth": 20, "spatial": 2})
    parent = trained(start)
    back = child_of(child_of(parent, wider), start)
    for name, value in parent.state_dict().items():
        assert torch.equal(value, back.state_dict()[name]), name


def test_the_seed_decides_what_is_fresh_and_nothing_else() -> None:
    space = X3DSpace(**SMALL)
    parent, child = trained(at(space, {})), at(space, {"bottleneck": 5})
    state = torch.get_rng_state()
    once, again, other = (grow(parent.architecture, parent.state_dict(), child, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(once[name], again[name]) for name in once)
    name = "stages.0.blocks.0.expand.weight"
    assert torch.equal(once[name][:8], other[name][:8])
    assert not torch.equal(once[name][8:], other[name][8:])


def test_the_parent_is_not_changed() -> None:
    space = X3DSpace(**SMALL)
    parent = trained(at(space, {}))
    saved = {name: value.clone() for name, value in parent.state_dict().items()}
    grown = child_of(parent, at(space, {}))
    with torch.no_grad():
        for value in grown.state_dict().values():
            value.fill_(0)
    assert all(torch.equal(value, saved[name]) for name, value in parent.state_dict().items())


def test_number_types_and_counts_are_the_parents() -> None:
    space = X3DSpace(**SMALL)
    parent = trained(at(space, {}))
    weights = grow(parent.architecture, parent.state_dict(), at(space, {"depth": 20}), 0)
    assert {value.dtype for value in weights.values()} == {torch.float64, torch.int64}
    assert weights["stem.norm.num_batches_tracked"] == 7
    assert weights["stages.1.blocks.3.project_norm.num_batches_tracked"] == 0


def test_what_cannot_be_grown_is_refused() -> None:
    space = X3DSpace(**SMALL)
    start = at(space, {})
    weights = trained(start).state_dict()
    fewer = replace(start, stages=start.stages[:2])
    with pytest.raises(ValueError) as error:
        grow(start, weights, fewer, 0)
    assert str(error.value) == "a network grows to one with as many stages, got 3 and 2."
    with pytest.raises(ValueError) as error:
        grow(at(space, {"width": 20}), weights, start, 0)
    assert str(error.value) == (
        "stem.spatial.weight of the parent must have the shape (16, 3, 1, 3, 3), got (8, 3, 1, 3, 3)."
    )
    del weights["head.hidden.weight"]
    with pytest.raises(ValueError) as error:
        grow(start, weights, start, 0)
    assert (
        str(error.value)
        == "head.hidden.weight of the parent must have the shape (16, 24, 1, 1, 1), got none."
    )
