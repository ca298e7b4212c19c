"""The Triton kernels against torch's convolution; in Triton's interpreter where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from search_spaces.x3d.kernels import cuda, plain
from tests.expand.commands import ROOT

pytest.importorskip("triton", reason="needs Triton, which is not installed here")

from search_spaces.x3d.kernels import triton_depthwise

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
CUBE, LINE = (3, 3, 3), (5, 1, 1)

needs_cuda = pytest.mark.skipif(not CUDA, reason="needs CUDA, and there is none here")


@pytest.fixture(
    params=[
        pytest.param(1, id="one program"),
        pytest.param(512, id="many programs", marks=pytest.mark.slow),
    ]
)
def _programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a program walks along all frames and sums up all tiles, or has one of each."""
    monkeypatch.setattr(triton_depthwise, "PROGRAMS", request.param)


def convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    padding = tuple(size // 2 for size in weight.shape[2:])
    return functional.conv3d(x, weight, None, (1, stride, stride), padding, 1, len(weight))


def inputs(
    kernel: tuple[int, int, int], shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=dtype)
    weight = torch.randn((shape[1], 1, *kernel), generator=generator, dtype=dtype)
    return x.to(DEVICE).requires_grad_(), weight.to(DEVICE).requires_grad_()


def largest_difference(x: Tensor, weight: Tensor, stride: int) -> float:
    """Of output and both gradients, from torch's in float64; relative to the largest number of each."""
    wanted_x, wanted_weight = (t.detach().double().requires_grad_() for t in (x, weight))
    wanted = convolution(wanted_x, wanted_weight, stride)
    grad = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1)).to(x)
    torch.autograd.backward(wanted, grad.double())
    out = cuda.depthwise(x, weight, stride)
    torch.autograd.backward(out, grad)
    pairs = ((out, wanted), (x.grad, wanted_x.grad), (weight.grad, wanted_weight.grad))
    found = []
    for own, other in pairs:
        assert own is not None
        assert other is not None
        assert own.shape == other.shape
        own, other = own.detach().double(), other.detach()
        found.append(float((own - other).abs().max() / other.abs().max().clamp(min=1e-30)))
    return max(found)


@pytest.mark.usefixtures("_programs")
@pytest.mark.parametrize(
    ("kernel", "stride", "shape"),
    [
        (CUBE, 1, (1, 5, 1, 5, 7)),
        pytest.param(CUBE, 1, (2, 3, 3, 2, 3), marks=pytest.mark.slow),
        pytest.param(CUBE, 2, (1, 3, 2, 5, 7), marks=pytest.mark.slow),
        (CUBE, 2, (2, 24, 1, 4, 4)),
        (LINE, 1, (2, 70, 1, 1, 3)),  # more channels than a tile has
        (LINE, 1, (1, 3, 2, 5, 7)),
        (LINE, 1, (1, 8, 3, 2, 2)),
    ],
)
def test_output_and_gradients_are_those_of_torch(
    kernel: tuple[int, int, int], stride: int, shape: tuple[int, ...]
) -> None:
    assert largest_difference(*inputs(kernel, shape), stride) < 1e-5


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(
    stride=st.sampled_from([1, 2]),
    clips=st.integers(1, 2),
    channels=st.integers(1, 9),
    frames=st.integers(1, 3),
    height=st.integers(1, 3),
    width=st.integers(1, 4),
)
def test_any_shape_will_do(
    stride: int, clips: int, channels: int, frames: int, height: int, width: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton_depthwise, "PROGRAMS", 2)
        assert largest_difference(*inputs(CUBE, (clips, channels, frames, height, width)), stride) < 1e-5


def test_layouts_make_no_difference() -> None:
    x, weight = inputs(CUBE, (1, 4, 1, 3, 4))
    wanted = cuda.depthwise(x, weight, 1)
    assert wanted.is_contiguous(memory_format=torch.channels_last_3d)
    turned = x.detach().transpose(3, 4).contiguous().transpose(3, 4)
    assert not turned.is_contiguous()
    assert torch.equal(cuda.depthwise(turned, weight, 1), wanted)
    assert torch.equal(triton_depthwise.forward(turned, weight.detach(), 1), wanted)


def test_a_missing_gradient_is_not_worked_out() -> None:
    x, weight = inputs(LINE, (1, 2, 1, 1, 1))
    torch.autograd.backward(cuda.depthwise(x.detach(), weight, 1).sum())
    assert weight.grad is not None
    torch.autograd.backward(cuda.depthwise(x, weight.detach(), 1).sum())
    assert x.grad is not None


@pytest.mark.parametrize(
    ("dtype", "allowed"),
    [(torch.float16, 0.0), (torch.bfloat16, 2**-7)],  # the interpreter cuts bfloat16 off where a GPU rounds
)
def test_half_precision_rounds_once(dtype: torch.dtype, allowed: float) -> None:
    x, weight = inputs(CUBE, (1, 3, 2, 3, 4), dtype)
    wanted = convolution(x.detach().double(), weight.detach().double(), 1)
    assert torch.allclose(cuda.depthwise(x, weight, 1), wanted.to(dtype), rtol=allowed, atol=0.0)


@pytest.mark.slow
def test_the_gradient_of_a_float32_weight_is_float32() -> None:
    """What reaches it under autocast: bfloat16 pixels, a float32 weight."""
    x, _ = inputs(CUBE, (1, 3, 2, 3, 4), torch.bfloat16)
    _, weight = inputs(CUBE, (1, 3, 2, 3, 4))
    reference = weight.detach().double().requires_grad_()
    torch.autograd.backward(convolution(x.detach().double(), reference, 1).sum())
    torch.autograd.backward(cuda.depthwise(x, weight, 1).sum())
    assert weight.grad is not None
    assert reference.grad is not None
    assert torch.allclose(weight.grad.double(), reference.grad, rtol=1e-6, atol=1e-6)


def test_a_weight_gradient_is_the_same_bits_again() -> None:
    x, _ = inputs(LINE, (2, 3, 2, 3, 4))
    first, second = (triton_depthwise.weight_gradient(x.detach(), x.detach(), LINE, 1) for _ in range(2))
    assert torch.equal(first, second)


def test_the_work_is_shared_out_by_shapes() -> None:
    assert triton_depthwise.share_out(16, 4) == 1  # 64 programs, each with one thing
    assert triton_depthwise.share_out(1000, 4) == 8  # 500
    assert triton_depthwise.share_out(16, 1000) == 16  # there are enough
    tile = triton_depthwise.tile_of(54, 28, 28, pixels=16, each=4)
    assert tile == triton_depthwise.Tile(height=4, width=4, channels=64, warps=8)
    tile = triton_depthwise.tile_of(432, 1, 2, pixels=16, each=4)
    assert tile == triton_depthwise.Tile(height=1, width=2, channels=64, warps=1)


def test_the_processor_has_its_own_kernels() -> None:
    assert not cuda.usable(torch.zeros(1, 2, 1, 1, 1))


@pytest.mark.slow
def test_the_kernels_compile_for_an_h100(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "tests.search_spaces.compile_triton"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=300
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["kernel"], row["bytes_a_load"]) for row in rows] == [
        ("map_frames", 8),  # 4 bfloat16 numbers a thread
        ("map_frames", 4),  # 54 channels: no more than 2 numbers are aligned
        ("map_frames", 16),
        ("sum_products", 4),
    ]
    assert not any(row["atomics"] for row in rows)


@needs_cuda
@pytest.mark.parametrize("kernel", [CUBE, LINE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_images_on_cuda(kernel: tuple[int, int, int], dtype: torch.dtype) -> None:
    assert cuda.usable(torch.zeros(1, 2, 1, 1, 1, device="cuda"))
    for stride in (1, 2) if kernel == CUBE else (1,):
        x, weight = inputs(kernel, (3, 108, 5, 29, 31), dtype)
        allowed = 1e-5 if dtype == torch.float32 else 1e-2
        assert largest_difference(x, weight, stride) < allowed


@needs_cuda
def test_autocast_on_cuda_is_that_of_torch() -> None:
    x, weight = inputs(CUBE, (2, 54, 3, 14, 14))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        out = cuda.depthwise(x, weight, 2)
        wanted = convolution(x, weight, 2)
    assert out.dtype == wanted.dtype == torch.bfloat16
    assert torch.allclose(out.float(), wanted.float(), rtol=1e-2, atol=1e-2)


@needs_cuda
def test_plain_is_not_usable_on_cuda() -> None:
    with plain():
        assert not cuda.usable(torch.zeros(1, 2, 1, 1, 1, device="cuda"))
