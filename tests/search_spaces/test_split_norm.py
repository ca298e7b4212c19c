"""Split BatchNorm: each part of a batch as if it were a batch of its own, and statistics brought together."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from search_spaces.x3d import X3DSpace
from search_spaces.x3d.kernels import plain
from search_spaces.x3d.kernels.build import load_kernels
from search_spaces.x3d.network import X3D
from search_spaces.x3d.split_norm import SplitBatchNorm, aggregate, set_splits, splits_of

SPACE = X3DSpace(size=32, head_width=32, depths=(1, 2, 1, 1))


@pytest.fixture
def network() -> X3D:
    torch.manual_seed(0)
    network = SPACE.build(SPACE.architecture(SPACE.start), 5, dropout=0.0, residual_start=1.0).train()
    for norm in norms_of(network):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return network


def norms_of(network: nn.Module) -> list[nn.BatchNorm3d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]


def clips(count: int) -> Tensor:
    return torch.randn(count, 3, 2, 32, 32, generator=torch.Generator().manual_seed(1))


@settings(max_examples=20, deadline=None)
@given(splits=st.integers(1, 4), clips_each=st.integers(2, 3), steps=st.integers(1, 3))
def test_aggregated_statistics_are_those_of_all_parts_together(
    splits: int, clips_each: int, steps: int
) -> None:
    """By the definition: the mean and variance of the parts' distribution as one."""
    norm = SplitBatchNorm(3, splits, eps=1e-5, momentum=None)
    generator = torch.Generator().manual_seed(splits)
    for _ in range(steps):
        norm(torch.randn(splits * clips_each, 3, 2, 4, 4, generator=generator))
    norm.aggregate()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = sum(norm.split_mean) / splits
    second_moment = sum(norm.split_var + norm.split_mean**2) / splits
    assert torch.allclose(norm.running_mean, torch.as_tensor(mean), atol=1e-6)
    assert torch.allclose(norm.running_var, torch.as_tensor(second_moment - norm.running_mean**2), atol=1e-5)


def test_each_part_is_normalised_like_a_batch_of_its_own(network: X3D) -> None:
    alone = [copy.deepcopy(network)(part) for part in clips(6).chunk(3)]
    set_splits(network, 3)
    together = network(clips(6))
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@pytest.mark.skipif(load_kernels() is not None, reason="no compiled kernels")
@pytest.mark.parametrize("head", ["clip", "frame"])
def test_the_kernels_split_as_the_plain_modules_do(head: str) -> None:
    torch.manual_seed(0)
    own = SPACE.build(SPACE.architecture(SPACE.start), 5, head=head, dropout=0.0, residual_start=1.0)  # type: ignore[arg-type]
    own = own.double().train()
    set_splits(own, 2)
    reference = copy.deepcopy(own)
    x = clips(6).double()
    own(x).square().sum().backward()
    with plain():
        reference(x).square().sum().backward()
    for (name, one), (_, other) in zip(own.named_parameters(), reference.named_parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=1e-6, atol=1e-9), name
    for (name, mine), (_, theirs) in zip(own.named_buffers(), reference.named_buffers(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9), name


def test_in_evaluation_it_is_a_batch_norm_with_the_aggregated_statistics(network: X3D) -> None:
    set_splits(network, 2)
    network(clips(4))
    aggregate(network)
    network.eval()
    with torch.no_grad():
        split = network(clips(3))
        set_splits(network, 1)
        assert all(type(norm) is nn.BatchNorm3d for norm in norms_of(network))
        assert torch.allclose(network(clips(3)), split, atol=1e-6)


def test_a_new_number_of_splits_keeps_parameters_and_starts_from_the_aggregated_statistics(
    network: X3D,
) -> None:
    parameters = list(network.parameters())
    set_splits(network, 2)
    network(clips(4))
    set_splits(network, 4)
    assert all(one is other for one, other in zip(parameters, network.parameters(), strict=True))
    for norm in norms_of(network):
        assert isinstance(norm, SplitBatchNorm)
        assert norm.splits == 4
        assert norm.training
        assert norm.running_mean is not None
        assert torch.equal(norm.split_mean, norm.running_mean.expand(4, -1))
        assert norm.running_mean.abs().sum() > 0


def test_the_weights_of_a_network_whose_norms_are_plain_again_fit_a_fresh_one(network: X3D) -> None:
    fresh = SPACE.build(SPACE.architecture(SPACE.start), 5)
    set_splits(network, 4)
    assert network.state_dict().keys() > fresh.state_dict().keys()
    set_splits(network, 1)
    fresh.load_state_dict(network.state_dict())


def test_a_batch_that_cannot_be_split_is_refused(network: X3D) -> None:
    set_splits(network, 4)
    with pytest.raises(ValueError) as caught:
        network(clips(6))
    assert str(caught.value) == "a batch must be a multiple of the 4 splits, got 6 clips."


def test_splits_are_at_least_one() -> None:
    with pytest.raises(ValueError) as caught:
        SplitBatchNorm(3, 0, eps=1e-5, momentum=0.1)
    assert str(caught.value) == "splits must be at least 1, got 0."
    assert splits_of(nn.BatchNorm3d(3)) == 1
