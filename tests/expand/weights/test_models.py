from __future__ import annotations

from pathlib import Path

import pytest
import torch

import expand
from expand.search.setup import Setup
from expand.system.errors import UserError
from expand.weights.models import read_model, searched_values, write_model
from expand.weights.writing import save_weights
from tests.expand.runs import CARD, CLASSES, toy_config, toy_setup
from tests.expand.search.test_replay import measurement


def write(folder: Path, setup: Setup, weights: Path | None = None) -> Path:
    start = setup.problem.start
    scores = [measurement(0.25, seconds=1.5, host="a"), measurement(0.75, seconds=9.0)]
    return write_model(folder, searched_values("step-0", setup, start, scores, step=0), weights)


def test_a_model_file_says_all_that_builds_and_found_it(tmp_path: Path) -> None:
    setup = toy_setup()
    model = read_model(write(tmp_path, setup))
    assert model.architecture == setup.space.start
    assert model.sampling == setup.space.sampling(setup.space.start)
    assert model.classes == CLASSES
    assert model.values["complexity"]["macs"] == 576
    assert model.values["measured"]["top1"] == 0.5
    assert model.values["data"] == {
        "name": "synthetic", "checksum": "0" * 64, "train": 24, "val": 12, "classes": list(CLASSES),
    }  # fmt: skip
    assert model.values["factors"] == {"frames": 1, "width": 4, "size": 32}


def test_nothing_that_varies_between_runs_is_in_it(tmp_path: Path) -> None:
    seeds = read_model(write(tmp_path, toy_setup())).values["measured"]["seeds"]
    assert not {"seconds", "peak_memory", "host"} & set(seeds[0])
    assert {"top1", "top5", "mean_class_accuracy", "loss", "clips_seen"} <= set(seeds[0])


def test_the_network_of_a_model_file(tmp_path: Path) -> None:
    setup = toy_setup()
    trained = setup.space.build(setup.space.start, len(CLASSES)).eval()
    save_weights(tmp_path / "trained.safetensors", trained.state_dict())
    path = write(tmp_path, setup, weights=tmp_path / "trained.safetensors")
    clip = torch.rand(2, 3, 1, 32, 32)
    loaded = expand.load_model(path)
    assert not loaded.training
    assert torch.equal(loaded(clip), trained(clip))
    assert not torch.equal(expand.load_model(path, weights=False)(clip), trained(clip))


def test_an_x3d_model_file_takes_the_options_of_its_space(tmp_path: Path) -> None:
    config = toy_config(space={"name": "x3d", "settings": {"size": 32}}, search={"targets": ["2M"]})
    network = expand.load_model(write(tmp_path, Setup.of(config, CARD)), head="frame")
    assert network(torch.rand(1, 3, 4, 32, 32)).shape == (1, 4, len(CLASSES))


def test_weights_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, toy_setup())
    with pytest.raises(UserError) as caught:
        expand.load_model(path, weights=True)
    assert str(caught.value) == (
        "step-0 must have its weights beside its model file, but it has none: load it without weights, or "
        "set run.keep_weights and search again."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "must be a model file with a space and an architecture, but it is not."),
        (
            "{format: 7, xpand: '9.0', space: {}, architecture: {}}",
            "must have format 1, got 7: read it with the xpand that wrote it (9.0).",
        ),
        (
            "{format: 1, space: {name: x3d, settings: {}}, architecture: {}, name: a}",
            "must be a complete model file, but a value is missing or wrong: ",
        ),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_model(path)
    assert str(caught.value).startswith(f"{path} {message}")
