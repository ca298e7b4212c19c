from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from expand.config.training import TrainingConfig
from expand.training.devices import place_network
from expand.training.graphs import WARM_UP, Function, Graphed, Recording, read_later
from expand.training.trainer import make_optimizer, make_step, set_learning_rate, training_step
from search_spaces.x3d import X3DSpace

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, and there is none here")


class Calls:
    """A function, a recorder in place of CUDA's, and what was done with them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def function(self, x: Tensor) -> Tensor:
        self.made.append(f"call {len(x)}")
        return x + 1

    def record(self, function: Function, inputs: tuple[Tensor, ...]) -> Recording:
        assert function == self.function
        self.made.append(f"record {len(inputs[0])}")

        def play(*inputs: Tensor) -> Tensor:
            self.made.append(f"play {len(inputs[0])}")
            return inputs[0] + 1

        return play


def test_a_function_is_recorded_once_it_is_warm_and_then_played() -> None:
    calls = Calls()
    graphed = Graphed(calls.function, calls.record)
    results = [float(graphed(torch.full((2,), float(number)))[0]) for number in range(WARM_UP + 2)]
    assert results == [1, 2, 3, 4, 5]
    assert calls.made == ["call 2"] * WARM_UP + ["record 2", "play 2", "play 2"]


def test_other_shapes_are_calls_of_the_function() -> None:
    calls = Calls()
    graphed = Graphed(calls.function, calls.record)
    for size in (2, 1, 2, 3, 2, 2, 1, 2):
        graphed(torch.zeros(size))
    assert calls.made == [
        *("call 2", "call 1", "call 2", "call 3", "call 2"),
        *("record 2", "play 2", "call 1", "play 2"),
    ]


def test_another_precision_is_another_shape() -> None:
    calls = Calls()
    graphed = Graphed(calls.function, calls.record)
    for _ in range(WARM_UP + 1):
        graphed(torch.zeros(2))
    graphed(torch.zeros(2, dtype=torch.float64))
    assert calls.made[-2:] == ["play 2", "call 2"]


def test_what_cannot_be_recorded_is_called_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(function: Function, inputs: tuple[Tensor, ...]) -> Recording:
        raise RuntimeError("it looked at a number\nand more")

    calls = Calls()
    graphed = Graphed(calls.function, refuse)
    with caplog.at_level(logging.WARNING):
        for _ in range(WARM_UP + 3):
            graphed(torch.zeros(2))
    assert calls.made == ["call 2"] * (WARM_UP + 3)
    assert caplog.messages == ["no CUDA graph, so small networks run slower: it looked at a number"]


def test_an_error_of_the_function_is_its_callers() -> None:
    def broken(x: Tensor) -> Tensor:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Graphed(broken, Calls().record)(torch.zeros(1))


def _network() -> nn.Module:
    torch.manual_seed(0)
    space = X3DSpace(size=32, frames=2)
    return space.build(space.architecture(space.start), 3, dropout=0.0, residual_start=1.0)


def _batches(count: int, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(size, 3, 2, 32, 32, generator=generator), torch.arange(size) % 3) for _ in range(count)
    ]


@needs_cuda
def test_recorded_steps_are_the_steps_that_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: weights, statistics and losses, with a rate that changes and a smaller batch between."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    batches = [*_batches(6), *_batches(1, size=5), *_batches(2)]
    states, losses = [], []
    for recorded in (True, False):
        network = place_network(_network(), "cuda").train()
        optimizer = make_optimizer(network, TrainingConfig())
        options: dict[str, Any] = {"device": "cuda", "micro_batch": 8, "gradient_clip": 0.5}
        step = make_step(network, optimizer, nn.CrossEntropyLoss(), **options)
        found = []
        for number, (clips, labels) in enumerate(batches):
            set_learning_rate(optimizer, 0.05 / (number + 1))
            if recorded:
                found.append(step(clips, labels)())
            else:
                loss = nn.CrossEntropyLoss()
                found.append(training_step(network, optimizer, loss, clips, labels, **options))
        states.append(network.state_dict())
        losses.append(found)
    assert losses[0] == losses[1]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@needs_cuda
def test_every_recorded_step_draws_its_own_dropout() -> None:
    graphed = Graphed(lambda x: nn.functional.dropout(x, 0.5))
    ones = torch.ones(1000, device="cuda")
    drawn = [graphed(ones) for _ in range(WARM_UP + 4)]
    assert not any(torch.equal(one, other) for one, other in pairwise(drawn))


@needs_cuda
def test_a_function_that_looks_at_numbers_is_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    graphed = Graphed(lambda x: x * float(x.sum()))
    with caplog.at_level(logging.WARNING):
        results = [float(graphed(torch.full((2,), 2.0, device="cuda"))[0]) for _ in range(WARM_UP + 3)]
    assert results == [8.0] * (WARM_UP + 3)
    assert len(caplog.messages) == 1


@needs_cuda
def test_a_number_is_read_as_it_was_when_it_was_sent() -> None:
    value = torch.ones((), device="cuda")
    read = read_later(value)
    value.fill_(2)
    assert read() == read() == 1.0
