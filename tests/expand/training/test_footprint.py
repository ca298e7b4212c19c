"""The closed form of what a training holds, beside what one held."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from expand.training.footprint import KERNELS, PLAIN, Footprint, halves

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


MEASURE = """
import gc, json, sys, torch
from expand.config.search import TrainingConfig
from expand.training.devices import place_network, prepare
from expand.training.footprint import Footprint, way_of
from expand.training.memory import peak_bytes, reset_peak
from expand.training.trainer import make_optimizer, training_step
from search_spaces.x3d import Factors, X3DSpace

prepare("cpu", 1, 0)
space, clips, point = X3DSpace(), int(sys.argv[1]), Factors(**json.loads(sys.argv[2]))
architecture, sampling = space.architecture(point), space.sampling(point)
network = place_network(space.build(architecture, 10), "cpu").train()
optimizer, loss = make_optimizer(network, TrainingConfig()), torch.nn.CrossEntropyLoss()

def step(x):
    training_step(network, optimizer, loss, x, torch.zeros(len(x), dtype=torch.int64), device="cpu",
                  micro_batch=len(x))

step(torch.rand(2, 3, 1, 32, 32))
gc.collect()
reset_peak("cpu")
held = peak_bytes("cpu")
x = torch.rand_like(space.example(architecture, clips))
step(x), step(x)
way = way_of("cpu")
found = Footprint.of(space.complexity(architecture, 10), sampling, way)
print(json.dumps([peak_bytes("cpu") - held, found.activations * clips * 4 * way.kept]))
"""


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
    kernels: str, clips: int, point: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XPAND_KERNELS", kernels)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(clips), json.dumps(point)],
        capture_output=True,
        text=True,
        check=True,
    )
    held, foreseen = json.loads(done.stdout)
    assert held / 1.25 < foreseen < 1.6 * held
