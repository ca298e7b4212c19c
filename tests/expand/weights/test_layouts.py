"""Weights under other projects' names.

Golden values, from the state dicts of the projects' own networks (PyTorchVideo f3142bb0, SlowFast 287ec007,
X3D-Multigrid d63d8fe6 with 8 splits): tests/facts/state_dict_layouts.json has, for every network and project,
the SHA-256 of the lines `name shape dtype` in their order, and X3D-S's modules in the three projects, a line
each, where PyTorchVideo lacks one. tests/facts/parity_xs_random.npz has logits that all three give.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from expand.weights.layouts import LAYOUTS, SPLITS, Layout, from_layout, layout_of, name_in, to_layout
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.network import X3D
from tests.search_spaces.test_network import drawn, logits_like_the_others

FOLDER = Path(__file__).parents[2] / "facts"
FACTS = json.loads((FOLDER / "state_dict_layouts.json").read_text())
SPACE = X3DSpace()
SMALL = X3DSpace(size=32, head_width=32)
LISTED = [(name, layout) for name, layouts in FACTS["digests"].items() for layout in layouts]


def shaken(network: X3D) -> X3D:
    """With statistics and norms that fresh weights don't have."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for value in (module.weight, module.running_var):
                nn.init.uniform_(value, 0.5, 1.5, generator=generator)
            for value in (module.bias, module.running_mean):
                nn.init.normal_(value, std=0.2, generator=generator)
    return network.eval()


def listing(state: dict[str, Tensor]) -> str:
    return "\n".join(f"{name} {list(value.shape)} {str(value.dtype)[6:]}" for name, value in state.items())


@cache
def listed(name: str) -> tuple[Architecture, dict[str, Tensor]]:
    """A published network's architecture and state dict, sorted as safetensors gives it."""
    architecture = SPACE.architecture(published(f"x3d-{name.lower()}").factors)
    with torch.device("meta"):
        return architecture, dict(sorted(SPACE.build(architecture, 400).state_dict().items()))


@pytest.mark.parametrize(("name", "layout"), LISTED)
def test_every_layer_has_the_name_shape_type_and_place_of_the_project(name: str, layout: Layout) -> None:
    architecture, state = listed(name)
    found = hashlib.sha256(listing(to_layout(state, architecture, layout)).encode()).hexdigest()
    assert found == FACTS["digests"][name][layout]


def test_the_names_of_three_projects_belong_to_the_same_weights() -> None:
    """X3D-S, module by module."""
    names = [name for name in listed("S")[1] if name.endswith(".weight")]
    found = {
        name_in("slowfast", name): (name_in("pytorchvideo", name), name_in("multigrid", name))
        for name in names
    }
    assert len(found) == len(FACTS["modules"])
    for pytorchvideo, slowfast, multigrid in FACTS["modules"]:
        theirs = found[f"{slowfast}.weight"]
        assert theirs[1] == f"{multigrid}.weight"
        if pytorchvideo is not None:  # else the norm that PyTorchVideo lacks
            assert theirs[0] == f"{pytorchvideo}.weight"


@pytest.mark.parametrize("norm_every_shortcut", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_of_the_projects_give_the_logits_that_the_projects_give(
    layout: Layout, norm_every_shortcut: bool
) -> None:
    space = X3DSpace(norm_every_shortcut=norm_every_shortcut)
    architecture = space.architecture(published("x3d-xs").factors)
    network = space.build(architecture, 400).eval()
    empty = to_layout(network.state_dict(), architecture, "pytorchvideo")
    theirs = {name: drawn(name, tuple(value.shape)) for name, value in empty.items()}
    if layout != "pytorchvideo":  # on their way through another project
        theirs = to_layout(from_layout(theirs, architecture, "pytorchvideo"), architecture, layout)
    network.load_state_dict(from_layout(theirs, architecture, layout))
    logits_like_the_others(network)


@pytest.mark.parametrize("name", ["x3d-xs", "x3d-s", "x3d-m", "x3d-l"])
def test_logits_are_equal_where_the_same_weights_go_round(name: str) -> None:
    """The networks differ in depth and clips; the clips here are small, for speed."""
    architecture = SPACE.architecture(published(name).factors)
    network = shaken(SPACE.build(architecture, 7))
    other = SPACE.build(architecture, 7).eval()
    fresh = {key: value.clone() for key, value in other.state_dict().items()}
    clips = torch.randn(1, 3, 2, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = network(clips)
    for layout in LAYOUTS:
        there = to_layout(network.state_dict(), architecture, layout)
        assert layout_of(there) == layout
        other.load_state_dict(fresh)
        other.load_state_dict(from_layout(there, architecture, layout))
        with torch.no_grad():
            again = other(clips)
        assert float((own - again).abs().max()) <= 1e-5 * max(1.0, float(own.abs().max())), layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_without_the_first_shortcuts_norm_goes_round_too(layout: Layout) -> None:
    space = X3DSpace(norm_every_shortcut=False, size=32, head_width=32)
    architecture = space.architecture(space.start)
    network = shaken(space.build(architecture, 5))
    there = to_layout(network.state_dict(), architecture, layout)
    other = space.build(architecture, 5).eval()
    other.load_state_dict(from_layout(there, architecture, layout))
    clips = torch.randn(2, 3, 2, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(clips), other(clips), atol=1e-5)


def test_statistics_that_were_never_aggregated_are_those_of_the_splits() -> None:
    space = X3DSpace(size=32, head_width=32)
    architecture = space.architecture(space.start)
    there = to_layout(space.build(architecture, 5).state_dict(), architecture, "multigrid")
    there["bn1.split_bn.running_mean"] = torch.arange(8.0).repeat_interleave(24)
    there["bn1.split_bn.running_var"] = torch.ones(8 * 24)
    back = from_layout(there, architecture, "multigrid")
    assert torch.equal(back["stem.norm.running_mean"], torch.full((24,), 3.5))
    assert torch.allclose(back["stem.norm.running_var"], torch.full((24,), 1 + 5.25))


@pytest.mark.parametrize("splits", [8, 64])
def test_statistics_that_were_aggregated_stay(splits: int) -> None:
    """Though those of the splits, of which a long cycle has made more, went on."""
    architecture = SMALL.architecture(SMALL.start)
    network = shaken(SMALL.build(architecture, 5))
    there = to_layout(network.state_dict(), architecture, "multigrid")
    for name, value in there.items():
        if ".split_bn.running" in name:
            there[name] = torch.rand(splits * value.numel() // SPLITS)
    back = from_layout(there, architecture, "multigrid")
    assert back.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(back[name], value), name


def test_shortcuts_of_type_a_go_round() -> None:
    space = X3DSpace(shortcut="A", norm_every_shortcut=False, size=32, head_width=32)
    architecture = space.architecture(space.start)
    state = shaken(space.build(architecture, 5)).state_dict()
    there = to_layout(state, architecture, "multigrid")
    assert [name for name in there if "downsample" in name] == []
    back = from_layout(there, architecture, "multigrid")
    assert list(back) == list(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_what_has_no_place_in_the_network_keeps_its_name() -> None:
    architecture = SMALL.architecture(SMALL.start)
    there = {
        "blocks.0.norm.bias": torch.zeros(24),
        "blocks.1.res_blocks.9.branch2.conv_a.weight": torch.ones(1),
    }
    assert list(from_layout(there, architecture, "pytorchvideo")) == [
        "stem.norm.bias",
        "blocks.1.res_blocks.9.branch2.conv_a.weight",
    ]


def test_the_norm_that_is_folded_away_leaves_the_given_weights_as_they_are() -> None:
    architecture = SMALL.architecture(SMALL.start)
    state = shaken(SMALL.build(architecture, 5)).state_dict()
    before = {name: value.clone() for name, value in state.items()}
    to_layout(state, architecture, "pytorchvideo")
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], value) for name, value in before.items())
