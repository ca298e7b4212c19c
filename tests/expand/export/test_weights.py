"""Weights from files: every kind, and what is said of those that don't fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from expand.errors import UserError
from expand.export.layouts import LAYOUTS, Layout, to_layout
from expand.export.weights import read_weights
from expand.models import Model, find_model

RUN = Path(__file__).parents[3] / "results" / "reference" / "synthetic"


@pytest.fixture(scope="module")
def model() -> Model:
    return find_model(RUN, "step-0")


@pytest.fixture(scope="module")
def state(model: Model) -> dict[str, Tensor]:
    return model.build().state_dict()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("key", ["model_state", "state_dict", "model_state_dict", None])
def test_a_checkpoint_of_any_layout(
    tmp_path: Path, model: Model, state: dict[str, Tensor], layout: Layout, key: str | None
) -> None:
    there = {f"module.{name}": value for name, value in to_layout(state, model.architecture, layout).items()}
    torch.save(there if key is None else {key: there, "epoch": 3}, tmp_path / "net.pth")
    found = read_weights(tmp_path / "net.pth", model)
    assert found.keys() == state.keys()
    assert torch.equal(found["head.classifier.weight"], state["head.classifier.weight"])


def test_safetensors(tmp_path: Path, model: Model, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "net.safetensors")
    assert read_weights(tmp_path / "net.safetensors", model).keys() == state.keys()


def test_a_classifier_of_other_classes_is_left_out_where_it_may_differ(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    other = {**state, "head.classifier.weight": torch.zeros(5, 2048), "head.classifier.bias": torch.zeros(5)}
    save_file(other, tmp_path / "net.safetensors")
    found = read_weights(tmp_path / "net.safetensors", model, classifier="may differ")
    assert state.keys() - found.keys() == {"head.classifier.weight", "head.classifier.bias"}


def message(path: Path, model: Model) -> str:
    with pytest.raises(UserError) as caught:
        read_weights(path, model)
    return str(caught.value)


def test_another_architecture_names_the_first_layer_that_differs(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    path = tmp_path / "net.pth"
    other = find_model("x3d-xs")
    torch.save(to_layout(other.build().state_dict(), other.architecture, "slowfast"), path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but stages.0.blocks.0.expand.weight "
        "(s2.pathway0_res0.branch2.a.weight there) has shape (54, 24, 1, 1, 1), not (24, 24, 1, 1, 1): "
        "name the network that they are of."
    )
    torch.save({name: value for name, value in state.items() if "stem.norm" not in name}, path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but stem.norm.weight is missing: "
        "name the network that they are of."
    )
    torch.save({**state, "extra.weight": torch.zeros(1)}, path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but it has extra.weight besides, which step-0 has not: "
        "name the network that they are of."
    )


def test_files_that_are_no_weights(tmp_path: Path, model: Model, state: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pth"
    assert message(path, model) == f"the weights must be a file, but {path} is none."
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert message(path, model) == (
        f"{path} must be a whole file of weights, but it is cut off or of no known kind."
    )
    torch.save({"epoch": 1}, path)
    assert message(path, model) == (
        f"{path} must hold a state dict, at the top or under model_state, state_dict, model_state_dict, "
        "model_weights, model, but it has none."
    )
    torch.save({"network": torch.nn.Linear(1, 1)}, path)
    assert message(path, model) == (
        f"{path} must hold tensors and plain values only, but it holds code or is no checkpoint: "
        "save its state dict alone."
    )
