"""Weights under other projects' names.

Golden values: tests/facts/state_dict_layouts.json has, for every network and project, the SHA-256 of the sorted
lines `name shape dtype` of the state dict that the project's own network has (PyTorchVideo f3142bb0, SlowFast
287ec007, X3D-Multigrid d63d8fe6), and X3D-XS's names in PyTorchVideo beside SlowFast's.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from expand.export.layouts import LAYOUTS, Layout, from_layout, layout_of, name_in, to_layout
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.network import X3D

FACTS = json.loads((Path(__file__).parents[2] / "facts" / "state_dict_layouts.json").read_text())
SPACE = X3DSpace()
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
    return "\n".join(
        sorted(f"{name} {list(value.shape)} {str(value.dtype)[6:]}" for name, value in state.items())
    )


@pytest.mark.parametrize(("name", "layout"), LISTED)
def test_every_layer_has_the_name_shape_and_type_of_the_project(name: str, layout: Layout) -> None:
    architecture = SPACE.architecture(published(f"x3d-{name.lower()}").factors)
    with torch.device("meta"):
        state = SPACE.build(architecture, 400).state_dict()
    found = hashlib.sha256(listing(to_layout(state, architecture, layout)).encode()).hexdigest()
    assert found == FACTS["digests"][name][layout]


def test_the_names_of_two_projects_belong_to_the_same_weights() -> None:
    """X3D-XS, layer by layer."""
    architecture = SPACE.architecture(published("x3d-xs").factors)
    with torch.device("meta"):
        names = list(SPACE.build(architecture, 400).state_dict())
    pairs = {name_in("pytorchvideo", name): name_in("slowfast", name) for name in names}
    assert FACTS["pytorchvideo_to_slowfast"].items() <= pairs.items()
    assert len(pairs) - len(FACTS["pytorchvideo_to_slowfast"]) == 5  # the norm that PyTorchVideo lacks


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["x3d-xs", "x3d-s", "x3d-m", "x3d-l"])
def test_logits_are_equal_where_the_same_weights_go_round(name: str, layout: Layout) -> None:
    """The networks differ in depth and clips; the clips here are small, for speed."""
    architecture = SPACE.architecture(published(name).factors)
    network = shaken(SPACE.build(architecture, 7))
    other = SPACE.build(architecture, 7).eval()
    there = to_layout(network.state_dict(), architecture, layout)
    assert layout_of(there) == layout
    other.load_state_dict(from_layout(there, architecture, layout))
    clips = torch.randn(1, 3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own, again = network(clips), other(clips)
    assert float((own - again).abs().max()) <= 1e-5 * max(1.0, float(own.abs().max()))


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
