"""The torch network.

Golden values: logits of PyTorchVideo (f3142bb0), SlowFast (287ec007) and X3D-Multigrid (d63d8fe6), which
agree, for an X3D-XS with weights drawn from their names (tests/facts/parity_xs_random.npz);
torch's own counter of operations; the paper's parameter count.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from expand.weights.layouts import name_in
from search_spaces.x3d import Factors, X3DSpace, published
from search_spaces.x3d.layers import Block, conv
from search_spaces.x3d.network import X3D

FACTS = Path(__file__).parents[1] / "facts"
SPACE = X3DSpace()
SMALL = X3DSpace(size=32, head_width=32)
SMALL_NETWORK = SMALL.architecture(SMALL.start)


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


# Logits of others' implementations


def drawn(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight that the published logits belong to, drawn from its PyTorchVideo name."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    value: Any
    if key.endswith("running_mean"):
        value = 0.1 * rng.standard_normal(shape)
    elif key.endswith("running_var"):
        value = 0.5 + rng.random(shape)
    elif key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    elif len(shape) >= 2:
        value = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
    elif key.endswith("bias"):
        value = 0.1 * rng.standard_normal(shape)
    else:
        value = (0.5 + rng.random(shape)) * (0.2 if "norm_c" in key else 1)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def logits_like_the_others(network: nn.Module) -> tuple[NDArray[np.float32], Mapping[str, NDArray[Any]]]:
    """The logits of the golden clip, which are those of three implementations, and the golden file."""
    clips = np.random.default_rng(0).standard_normal((1, 3, 4, 160, 160)).astype(np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(clips)).numpy()
    golden = np.load(FACTS / "parity_xs_random.npz")
    for implementation in ("ptv", "slowfast", "multigrid"):
        np.testing.assert_allclose(logits, golden[f"logits_{implementation}"], rtol=0, atol=1e-4)
    return logits, golden


@pytest.mark.parametrize("norm_every_shortcut", [True, False])
def test_logits_equal_those_of_three_other_implementations(norm_every_shortcut: bool) -> None:
    space = X3DSpace(norm_every_shortcut=norm_every_shortcut)
    network = space.build(space.architecture(published("x3d-xs").factors), 400).eval()
    weights = {
        key: drawn(name_in("pytorchvideo", key), tuple(weight.shape))
        for key, weight in network.state_dict().items()
    }
    if norm_every_shortcut:  # PyTorchVideo has no such norm; in the others it was the identity
        norm = network.get_submodule("stages.0.blocks.0.shortcut_norm")
        assert isinstance(norm, nn.BatchNorm3d)
        norm.reset_parameters()
        assert norm.running_var is not None
        norm.running_var.fill_(1 - 1e-5)
        prefix = "stages.0.blocks.0.shortcut_norm."
        weights.update({prefix + key: value for key, value in norm.state_dict().items()})
    network.load_state_dict(weights)
    logits, golden = logits_like_the_others(network)
    top5 = np.argsort(-logits[0])[:5]
    assert top5.tolist() == golden["top5"].tolist() == [101, 50, 128, 165, 86]
    assert logits[0][top5] == pytest.approx([9.822953, 8.926193, 8.799383, 8.768161, 8.566886], abs=1e-4)
    assert logits.sum() == pytest.approx(-123.823792, abs=1e-3)


# One contract for all published networks, on the meta device: nothing is computed


@pytest.mark.parametrize(
    "name",
    [
        "x2d",
        "x3d-xs",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("x3d-s", "x3d-m", "x3d-l", "x3d-xl")),
    ],
)
def test_a_published_network_is_what_its_closed_form_says(name: str) -> None:
    architecture = SPACE.architecture(published(name).factors)
    cost = SPACE.complexity(architecture)
    with torch.device("meta"):
        network = SPACE.build(architecture, 400)
        clips = SPACE.example(architecture, 1)
    network.eval()
    with FlopCounterMode(display=False) as counter:
        logits = network(clips)
    assert logits.shape == (1, 400)
    assert counter.get_total_flops() == 2 * cost.macs  # a multiply and an add each
    assert sum(p.numel() for p in network.parameters()) == cost.params
    network.train()(clips.expand(2, -1, -1, -1, -1)).sum().backward()
    assert [key for key, p in network.named_parameters() if p.grad is None] == []


def test_the_paper_counts_no_parameters_of_batchnorm() -> None:
    with torch.device("meta"):
        network = SPACE.build(SPACE.architecture(published("x3d-m").factors), 400)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    affine = sum(p.numel() for norm in norms for p in norm.parameters())
    assert sum(p.numel() for p in network.parameters()) - affine == 3_762_858


@pytest.mark.parametrize("name", ["x2d", "x3d-xs"])
def test_a_published_network_runs(name: str) -> None:
    network = SPACE.build(SPACE.architecture(published(name).factors), 7, dropout=0.0, residual_start=1.0)
    logits = network(torch.rand(2, 3, 2, 48, 48))
    logits.square().sum().backward()
    assert logits.shape == (2, 7)
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


# Clips of any shape


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(frames=st.integers(1, 9), size=st.integers(32, 130), head=st.sampled_from(["clip", "frame"]))
def test_any_length_and_any_size_from_32(frames: int, size: int, head: Literal["clip", "frame"]) -> None:
    architecture = SMALL.architecture(Factors(frames=frames, size=size / 32))
    assert (architecture.frames, architecture.size) == (frames, size)
    with torch.device("meta"):
        network = SMALL.build(SMALL_NETWORK, 5, head=head).eval()
        clips = SMALL.example(architecture, 1)
    with FlopCounterMode(display=False) as counter:
        logits = network(clips)
    assert logits.shape == ((1, 5) if head == "clip" else (1, frames, 5))
    macs = SMALL.complexity(architecture, num_classes=5).macs
    if (
        head == "frame"
    ):  # the closed form is that of the clip head; here its last two layers run on each frame
        macs += (frames - 1) * (architecture.conv5_width * 32 + 32 * 5)
    assert counter.get_total_flops() == 2 * macs


@pytest.mark.parametrize("kernel", [(1, 1, 1), (1, 3, 3), (3, 3, 3), (5, 1, 1)])
@pytest.mark.parametrize("halve", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 8)])
def test_a_single_frame_is_convolved_exactly(
    kernel: tuple[int, int, int], halve: bool, size: tuple[int, int]
) -> None:
    """The 2D path against the 3D one, in doubles: the output and the gradients of input and weights."""
    torch.manual_seed(0)
    layer = conv(4, 4, kernel, halve=halve, depthwise=kernel != (1, 1, 1), bias=True).double()
    x = torch.rand(2, 4, 1, *size, dtype=torch.float64, requires_grad=True)
    inputs = [x, *layer.parameters()]
    fast, plain = layer(x), nn.Conv3d.forward(layer, x)
    assert torch.allclose(fast, plain)
    weights = torch.rand_like(plain)
    for one, other in zip(
        torch.autograd.grad((fast * weights).sum(), inputs),
        torch.autograd.grad((plain * weights).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(one, other)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (32, 171)])
def test_odd_and_oblong_clips_give_finite_logits(height: int, width: int) -> None:
    network = SMALL.build(SMALL_NETWORK, 5).eval()
    with torch.inference_mode():
        logits = network(torch.rand(2, 3, 3, height, width))
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("shape", [(3, 1, 32, 32), (1, 1, 1, 32, 32), (1, 3, 1, 31, 32), (1, 3, 1, 32, 31)])
def test_clips_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        SMALL.build(SMALL_NETWORK, 5)(torch.rand(shape))
    assert str(caught.value) == (
        f"clips must be (batch, 3, frames, height, width) of at least 32×32 pixels, got {shape}."
    )


def test_a_trace_draws_no_warning_and_takes_other_sizes() -> None:
    network = SMALL.build(SMALL_NETWORK, 5).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch is about to drop tracing
        trace: Any = torch.jit.trace  # not typed
        traced = trace(network, torch.rand(1, 3, 2, 32, 32))
    clips = torch.rand(2, 3, 3, 45, 45)
    torch.testing.assert_close(traced(clips), network(clips))


# The two heads


def test_the_frame_head_is_the_clip_head_on_every_frame() -> None:
    clip_network = SMALL.build(SMALL_NETWORK, 5).eval()
    frame_network = SMALL.build(SMALL_NETWORK, 5, head="frame").eval()
    frame_network.load_state_dict(clip_network.state_dict())
    one, three = torch.rand(2, 3, 1, 40, 40), torch.rand(2, 3, 3, 40, 40)
    with torch.inference_mode():
        assert frame_network(three).shape == (2, 3, 5)
        torch.testing.assert_close(frame_network(one)[:, 0], clip_network(one))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "video"}, "head must be 'clip' or 'frame', got 'video'."),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0."),
        ({"drop": 0.5}, "options of an X3D network must be among head, dropout, residual_start, got drop."),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        SMALL.build(SMALL_NETWORK, **{"num_classes": 5, **options})
    assert str(caught.value) == message


# Fresh weights


def test_published_initialisation() -> None:
    network = SPACE.build(SPACE.architecture(Factors()), 400)
    assert network.head.dropout.p == 0.5
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            std = math.sqrt(2 / (module.out_channels * math.prod(module.kernel_size)))
            # Six standard errors of a sample's standard deviation.
            assert module.weight.std().item() == pytest.approx(
                std, rel=6 / math.sqrt(2 * module.weight.numel())
            )
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm3d):
            assert (module.eps, module.momentum) == (1e-5, 0.1)
    assert network.head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not network.head.classifier.bias.any()


@pytest.mark.parametrize("residual_start", [0.0, 0.25, 1.0])
def test_residual_start_is_about_the_last_norm_of_each_block(residual_start: float) -> None:
    network = SMALL.build(SMALL_NETWORK, 5, residual_start=residual_start)
    lasts = {block.project_norm for block in network.modules() if isinstance(block, Block)}
    assert len(lasts) == 11
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            expected = residual_start if module in lasts else 1
            assert (module.weight == expected).all()


def test_equal_seeds_give_equal_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(X3D(SMALL_NETWORK, 5).parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


# Shortcuts of type A, and other label sets


def test_a_shortcut_of_type_a_takes_every_second_pixel_and_pads_channels_with_zeros() -> None:
    stage = X3DSpace(shortcut="A").architecture(Factors()).stages[1]
    block = Block(stage, 24, 0).eval()
    nn.init.zeros_(block.project_norm.weight)  # the block is its shortcut
    x = torch.rand(2, 24, 3, 7, 8)
    out = block(x)
    assert out.shape == (2, 48, 3, 4, 4)
    assert torch.equal(out[:, :24], x[..., ::2, ::2])
    assert not out[:, 24:].any()


def test_the_cost_of_a_network_with_shortcuts_of_type_a() -> None:
    space = X3DSpace(shortcut="A", size=32, head_width=32)
    architecture = space.architecture(Factors())
    network = space.build(architecture, 5)
    cost = space.complexity(architecture, 5)
    assert sum(parameter.numel() for parameter in network.parameters()) == cost.params
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 3, 1, 32, 32))
    assert counter.get_total_flops() == 2 * cost.macs


def test_a_replaced_classifier_is_fresh_and_the_rest_stays() -> None:
    network = SMALL.build(SMALL_NETWORK, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.replace_classifier(7)
    assert network.eval()(torch.rand(1, 3, 1, 32, 32)).shape == (1, 7)
    assert not network.head.classifier.bias.any()
    for name, value in network.state_dict().items():
        assert "classifier" in name or torch.equal(value, before[name])
