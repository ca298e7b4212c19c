from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from expand.config.training import TrainingConfig
from expand.training.devices import best_device, place_network
from expand.training.trainer import (
    make_optimizer,
    make_step,
    parts_of,
    set_learning_rate,
    training_step,
)
from search_spaces.x3d import X3DSpace

CLIPS = torch.rand(8, 3, 2, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


def network() -> nn.Module:
    torch.manual_seed(0)
    space = X3DSpace(size=32, frames=2)
    return space.build(space.architecture(space.start), 3, dropout=0.0, residual_start=1.0)


def step(one: nn.Module, micro_batch: int = 8, device: str = "cpu") -> float:
    optimizer = make_optimizer(one, TrainingConfig(learning_rate=0.05))
    return training_step(
        one, optimizer, nn.CrossEntropyLoss(), CLIPS, LABELS, device=device, micro_batch=micro_batch
    )


def test_decay_leaves_out_batch_norm_and_biases() -> None:
    decayed, free = make_optimizer(network(), TrainingConfig()).param_groups
    assert free["weight_decay"] == 0
    assert decayed["weight_decay"] > 0
    assert all(p.ndim > 1 for p in decayed["params"])
    count = sum(len(group["params"]) for group in (decayed, free))
    assert count == len(list(network().parameters()))


def test_the_learning_rate_changes_where_it_is() -> None:
    optimizer = make_optimizer(network(), TrainingConfig())
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    rate = torch.tensor(1.0)
    on_device = torch.optim.SGD(network().parameters(), lr=rate)
    set_learning_rate(on_device, 0.125)
    assert on_device.param_groups[0]["lr"] is rate
    assert float(rate) == 0.125


def test_the_fastest_step_is_a_step() -> None:
    one, other = place_network(network(), "cpu").train(), place_network(network(), "cpu").train()
    optimizer = make_optimizer(one, TrainingConfig(learning_rate=0.05))
    fast = make_step(one, optimizer, nn.CrossEntropyLoss(), device="cpu", micro_batch=8)
    assert fast(CLIPS, LABELS)() == step(other)
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_steps_on_the_same_clips_lower_the_loss() -> None:
    one = place_network(network(), "cpu")
    losses = [step(one) for _ in range(12)]
    assert losses[0] == pytest.approx(math.log(3), rel=0.2)
    assert min(losses[-3:]) < losses[0] / 2


def test_channels_last_changes_the_layout_and_not_the_numbers() -> None:
    plain, placed = network().eval(), place_network(network(), "cpu").eval()
    assert torch.allclose(plain(CLIPS), placed(CLIPS), atol=1e-5)


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    whole, parts = (nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 32 * 32, 3)) for _ in range(2))
    parts.load_state_dict(whole.state_dict())
    assert step(whole) == pytest.approx(step(parts, micro_batch=3), rel=1e-6)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_loss_that_is_no_number_changes_no_weight() -> None:
    one = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 32 * 32, 3))
    before = [p.clone() for p in one.parameters()]
    optimizer = make_optimizer(one, TrainingConfig())
    broken = torch.full_like(CLIPS, float("inf"))
    loss = training_step(one, optimizer, nn.CrossEntropyLoss(), broken, LABELS, device="cpu", micro_batch=8)
    assert not math.isfinite(loss)
    assert all(torch.equal(p, b) for p, b in zip(one.parameters(), before, strict=True))


def test_the_budget_is_epochs_or_clips() -> None:
    assert TrainingConfig(epochs=2.5).clips_of(10) == 25
    assert TrainingConfig(clips=7).clips_of(10) == 7
    assert TrainingConfig(epochs=0.01).clips_of(10) == 1


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_batch_is_taken_in_parts_of_no_more_than_was_said_and_of_two_clips_at_least(
    clips: int, most: int
) -> None:
    sizes = [len(part) for part in torch.arange(clips).tensor_split(parts_of(clips, most))]
    assert sum(sizes) == clips
    assert max(sizes) <= max(most, 3) if most in (1, 2) else max(sizes) <= most
    assert min(sizes) >= min(clips, most, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, and there is none here")
def test_a_step_on_cuda_under_autocast() -> None:
    assert best_device() == "cuda"
    one = place_network(network(), "cuda")
    losses = [step(one, device="cuda") for _ in range(8)]
    assert losses[-1] < losses[0]


def test_adamw_is_another_optimizer_with_the_same_decay() -> None:
    recipe = TrainingConfig(optimizer="adamw", learning_rate=1e-3, weight_decay=0.05)
    one = place_network(network(), "cpu").train()
    optimizer = make_optimizer(one, recipe)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    losses = [
        training_step(one, optimizer, nn.CrossEntropyLoss(), CLIPS, LABELS, device="cpu", micro_batch=8)
        for _ in range(6)
    ]
    assert losses[-1] < losses[0]
