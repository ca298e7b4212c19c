"""The closed form of what a training holds, beside what one held."""

from __future__ import annotations

import gc
import os
from multiprocessing.connection import Connection
from typing import Any, cast

import pytest
import torch

from expand.config.training import TrainingConfig
from expand.system.child_processes import start_method
from expand.training.devices import place_network, prepare
from expand.training.footprint import KERNELS, PLAIN, Footprint, halves, way_of
from expand.training.memory import peak_bytes, reset_peak
from expand.training.trainer import make_optimizer, training_step
from search_spaces.x3d import Factors, X3DSpace

FOUND = Footprint(activations=1_000, widest=400, params=50, inputs=30, way=KERNELS)


def test_a_part_holds_its_activations_and_the_whole_batch_its_clips() -> None:
    assert FOUND.training(8, 8) == 4 * (5 * 8 * 30 + 3 * 50 + 8 * 1.8 * 1_000)
    assert FOUND.training(8, 2) == 4 * (5 * 8 * 30 + 3 * 50 + 2 * 1.8 * 1_000)
    assert FOUND.testing(8) == 4 * (5 * 8 * 30 + 50 + 8 * 1.5 * 400)


def test_a_checkpoint_holds_copies_of_the_weights() -> None:
    deep = Footprint(activations=10, widest=4, params=1_000, inputs=1, way=PLAIN)
    assert deep.training(1, 1) == 4 * (5 + 3_000 + 5_000)


def test_the_largest_part_is_the_first_half_that_fits() -> None:
    assert FOUND.largest_part(16, None) == 16
    assert FOUND.largest_part(16, FOUND.training(16, 16)) == 16
    assert FOUND.largest_part(16, FOUND.training(16, 16) - 1) == 8
    assert FOUND.largest_part(16, FOUND.training(16, 1)) == 1
    assert FOUND.largest_part(16, FOUND.training(16, 1), least=2) is None
    assert FOUND.largest_part(16, 0) is None
    assert FOUND.largest_batch(16, FOUND.testing(4)) == 4
    assert FOUND.largest_batch(16, 0) == 1


def test_a_batch_is_halved_down_to_what_is_least() -> None:
    assert list(halves(12)) == [12, 6, 3, 1]
    assert list(halves(12, 2)) == [12, 6, 3]
    assert list(halves(1, 2)) == [1]


def measure(kernels: str, clips: int, point: dict[str, float], told: Connection) -> None:
    """Sends what two steps of training held at their peak, and what is foreseen."""
    os.environ["XPAND_KERNELS"] = kernels
    prepare("cpu", 1, 0)
    space = X3DSpace()
    architecture, sampling = space.architecture(Factors(**point)), space.sampling(Factors(**point))
    network = place_network(space.build(architecture, 10), "cpu").train()
    optimizer, loss = make_optimizer(network, TrainingConfig()), torch.nn.CrossEntropyLoss()

    def step(x: torch.Tensor) -> None:
        targets = torch.zeros(len(x), dtype=torch.int64)
        training_step(network, optimizer, loss, x, targets, device="cpu", micro_batch=len(x))

    step(torch.rand(2, 3, 1, 32, 32))
    gc.collect()
    reset_peak("cpu")
    held = peak_bytes("cpu")
    x = torch.rand_like(space.example(architecture, clips))
    step(x)
    step(x)
    way = way_of("cpu")
    found = Footprint.of(space.complexity(architecture, 10), sampling, way)
    told.send((peak_bytes("cpu") - held, found.activations * clips * 4 * way.kept))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clips", "point", "kernels"),
    [
        (16, {"frames": 4, "rate": 4}, "auto"),
        (16, {"frames": 4, "rate": 4}, "plain"),
        (8, {"bottleneck": 2.25, "depth": 2.2, "frames": 4}, "auto"),
        (8, {"depth": 20}, "auto"),
        (4, {"depth": 20}, "plain"),
    ],
)
def test_the_closed_form_is_near_the_peak_of_a_real_training(
    kernels: str, clips: int, point: dict[str, float]
) -> None:
    context = start_method()
    hear, told = context.Pipe(duplex=False)
    process = cast(Any, context).Process(target=measure, args=(kernels, clips, point, told))
    process.start()
    told.close()
    held, foreseen = hear.recv()
    process.join()
    assert held / 1.25 < foreseen < 1.6 * held
