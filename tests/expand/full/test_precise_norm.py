from __future__ import annotations

import pytest
import torch
from torch import nn

from expand.full.precise_norm import for_evaluation, measure_statistics
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.split_norm import SplitBatchNorm, set_splits

CLIPS = [
    torch.rand(4, 3, 2, 32, 32, generator=torch.Generator().manual_seed(seed)) * seed for seed in (1, 2, 3)
]


def network() -> nn.Module:
    torch.manual_seed(0)
    space = X3DSpace(size=32, frames=2)
    return space.build(space.architecture(space.start), 3, dropout=0.5, residual_start=1.0)


def test_statistics_are_means_over_the_batches() -> None:
    norm = nn.BatchNorm3d(3)
    measure_statistics(norm, CLIPS, most=2, device="cpu")
    seen = [clips.transpose(0, 1).flatten(1) for clips in CLIPS[:2]]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, sum(x.mean(1) for x in seen) / 2, atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(norm.running_var, sum(x.var(1) for x in seen) / 2, atol=1e-6)  # type: ignore[arg-type]
    assert norm.momentum == 0.1
    assert not norm.training


def test_a_network_in_training_does_not_notice() -> None:
    one = network().train()
    before = {name: value.clone() for name, value in one.state_dict().items()}
    twin = for_evaluation(one)
    measure_statistics(twin, CLIPS, most=3, device="cpu")
    assert one.training
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
    changed = {name for name, value in twin.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("running" in name or "num_batches" in name for name in changed)


def test_measured_statistics_are_those_of_the_weights() -> None:
    """A network whose statistics are far off answers as in training once they are measured."""
    one = network()
    clips = torch.rand(16, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one.head.dropout.p = 0.0  # type: ignore[union-attr]
        wanted = one.train()(clips)
        off = one.eval()(clips)
        measure_statistics(one, [clips], most=1, device="cpu")
        measured = one(clips)
    assert (measured - wanted).abs().max() < 0.1 * (off - wanted).abs().max()


def test_splits_are_aggregated_in_the_copy_alone() -> None:
    one = network()
    set_splits(one, 2)
    one.train()(CLIPS[0])
    twin = for_evaluation(one)
    assert any(isinstance(module, SplitBatchNorm) for module in one.modules())
    assert not any(isinstance(module, SplitBatchNorm) for module in twin.modules())
    norm, plain = (next(m for m in n.modules() if isinstance(m, nn.BatchNorm3d)) for n in (one, twin))
    assert isinstance(norm, SplitBatchNorm)
    assert plain.running_mean is not None
    assert torch.allclose(plain.running_mean, norm.split_mean.mean(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, and there is none here")
def test_on_cuda() -> None:
    norm = nn.BatchNorm3d(3).cuda()
    measure_statistics(norm, CLIPS, most=3, device="cuda")
    assert norm.running_mean is not None
    assert norm.running_mean.is_cuda
