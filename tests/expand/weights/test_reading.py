"""Weights from files: every kind, and what is said of those that don't fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from expand.system.errors import UserError
from expand.weights.layouts import LAYOUTS, Layout, from_layout, to_layout
from expand.weights.models import Model, find_model
from expand.weights.reading import read_weights
from tests.expand.toy import Point, ToySpace

RUN = Path(__file__).parents[1] / "x3d_run"


@pytest.fixture(scope="module")
def model() -> Model:
    return find_model(RUN, "step-0")


@pytest.fixture(scope="module")
def state(model: Model) -> dict[str, Tensor]:
    return model.build().state_dict()


@pytest.mark.parametrize(
    ("key", "layout"),  # a state dict is found under each key, whatever its names are
    [
        ("model_state", "slowfast"),
        ("state_dict", "pytorchvideo"),
        ("model_state_dict", "multigrid"),
        ("model_weights", "slowfast"),
        ("model", "pytorchvideo"),
        (None, "multigrid"),
    ],
)
def test_a_checkpoint_of_any_layout(
    tmp_path: Path, model: Model, state: dict[str, Tensor], layout: Layout, key: str | None
) -> None:
    there = to_layout(state, model.architecture, layout)
    others = {
        "epoch": 3,
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(2)}}},
        "cfg": "a: 1",
    }
    torch.save(there if key is None else {key: there, **others}, tmp_path / "net.pth")
    same(read_weights(tmp_path / "net.pth", model), from_layout(there, model.architecture, layout))


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "module.model.", "_orig_mod.module."])
@pytest.mark.parametrize("layout", [None, "slowfast"])
def test_a_prefix_that_all_names_have_goes(
    tmp_path: Path, model: Model, state: dict[str, Tensor], prefix: str, layout: Layout | None
) -> None:
    there = state if layout is None else to_layout(state, model.architecture, layout)
    torch.save({prefix + name: value for name, value in there.items()}, tmp_path / "net.ckpt")
    same(read_weights(tmp_path / "net.ckpt", model), state)


@pytest.mark.parametrize("layout", [None, *LAYOUTS])
def test_safetensors_of_any_layout(
    tmp_path: Path, model: Model, state: dict[str, Tensor], layout: Layout | None
) -> None:
    there = state if layout is None else to_layout(state, model.architecture, layout)
    save_file(there, tmp_path / "net.safetensors")
    back = there if layout is None else from_layout(there, model.architecture, layout)
    same(read_weights(tmp_path / "net.safetensors", model), back)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_weights_of_half_precision_become_those_of_the_network(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    save_file(half, tmp_path / "net.safetensors")
    found = read_weights(tmp_path / "net.safetensors", model)
    assert {name: value.dtype for name, value in found.items()} == {
        name: value.dtype for name, value in state.items()
    }


def test_reading_draws_no_random_numbers(tmp_path: Path, model: Model, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "net.safetensors")
    before = torch.get_rng_state()
    read_weights(tmp_path / "net.safetensors", model)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_classifier_of_other_classes_is_left_out_where_it_may_differ(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    other = {**state, "head.classifier.weight": torch.zeros(5, 2048), "head.classifier.bias": torch.zeros(5)}
    save_file(other, tmp_path / "net.safetensors")
    found = read_weights(tmp_path / "net.safetensors", model, classifier="may differ")
    assert state.keys() - found.keys() == {"head.classifier.weight", "head.classifier.bias"}


def test_the_classifier_of_a_space_of_ones_own_is_found_by_its_shape(tmp_path: Path) -> None:
    space, point = ToySpace(), Point()
    classes = ("a", "b")
    toy = Model(
        name="toy",
        space=space,
        architecture=point,
        sampling=space.sampling(point),
        classes=classes,
        values={},
    )
    save_file(space.build(point, 5).state_dict(), tmp_path / "net.safetensors")
    assert read_weights(tmp_path / "net.safetensors", toy, classifier="may differ") == {}
    save_file(space.build(point, 2).state_dict(), tmp_path / "two.safetensors")
    assert len(read_weights(tmp_path / "two.safetensors", toy, classifier="may differ")) == 2


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
        "(s2.pathway0_res0.branch2.a.weight in the file) has shape (54, 24, 1, 1, 1), not (24, 24, 1, 1, 1): "
        "name the network that these weights belong to."
    )
    torch.save({name: value for name, value in state.items() if "stem.norm" not in name}, path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but stem.norm.weight is missing: "
        "name the network that these weights belong to."
    )
    torch.save({**state, "extra.weight": torch.zeros(1)}, path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but the file also has extra.weight, which step-0 lacks: "
        "name the network that these weights belong to."
    )


def test_files_that_are_no_weights(tmp_path: Path, model: Model, state: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pth"
    assert (
        message(path, model) == f"the weights must be a file, but there is no file {path}: give another path."
    )
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert message(path, model) == (
        f"{path} must be a whole file of weights, but it is cut off or of an unknown format: get it again."
    )
    torch.save({"epoch": 1}, path)
    assert message(path, model) == (
        f"{path} must hold a state dict, at the top or under model_state, state_dict, model_state_dict, "
        "model_weights, model, but it has none: save the network's state dict."
    )
    torch.save({"network": torch.nn.Linear(1, 1)}, path)
    assert message(path, model) == (
        f"{path} must hold tensors and plain values only, but it holds code or is not a checkpoint: "
        "save its state dict alone."
    )


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x00" * 50, b"a" * 50, b"PK\x03\x04 and so on"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_bytes_are_a_mistake_of_the_user_and_no_traceback(
    tmp_path: Path, model: Model, content: bytes, suffix: str
) -> None:
    (tmp_path / f"net{suffix}").write_bytes(content)
    assert message(tmp_path / f"net{suffix}", model).startswith(f"{tmp_path}/net{suffix} must ")


def test_cut_off_anywhere_it_is_a_mistake_of_the_user(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"stem.norm.bias": state["stem.norm.bias"]}, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert message(path, model) == (
            f"{path} must be a whole file of weights, but it is cut off or of an unknown format: "
            "get it again."
        )


def test_a_file_without_weights(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "net.safetensors"
    save_file({}, path)
    assert message(path, model) == (
        f"{path} must hold a state dict, at the top or under model_state, state_dict, model_state_dict, "
        "model_weights, model, but it has none: save the network's state dict."
    )


def test_names_that_nobody_gives(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "net.pth"
    torch.save({"state_dict": {"layers.0.conv.weight": torch.zeros(1)}}, path)
    assert message(path, model) == (
        f"{path} must have the names that xpand, SlowFast, PyTorchVideo or X3D-Multigrid gives to weights, "
        "but it has layers.0.conv.weight: rename the weights."
    )


def test_another_number_of_classes_where_the_classifier_is_needed(
    tmp_path: Path, model: Model, state: dict[str, Tensor]
) -> None:
    path = tmp_path / "net.pyth"
    other = {**state, "head.classifier.weight": torch.zeros(5, 2048), "head.classifier.bias": torch.zeros(5)}
    torch.save({"model_state": to_layout(other, model.architecture, "slowfast")}, path)
    assert message(path, model) == (
        f"{path} must hold weights for the 12 classes of step-0, but head.classifier.weight "
        "(head.projection.weight in the file) has shape (5, 2048), not (12, 2048): "
        "`xpand import` makes a model with the classes of the file."
    )


def test_damaged_norms_are_told_by_name(tmp_path: Path, model: Model, state: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pt"
    there = to_layout(state, model.architecture, "multigrid")
    there["bn1.split_bn.running_mean"] = torch.ones(99)
    torch.save(there, path)
    assert message(path, model) == (
        f"{path} must hold the weights of step-0, but the file also has bn1.split_bn.running_mean, "
        "which step-0 lacks: name the network that these weights belong to."
    )
    stages = model.architecture.stages
    bare = replace(
        model,
        architecture=replace(
            model.architecture, stages=(replace(stages[0], shortcut_norm=False), *stages[1:])
        ),
    )
    there = to_layout(state, model.architecture, "slowfast")
    there["s2.pathway0_res0.branch1_bn.weight"] = torch.ones(99)
    torch.save(there, path)
    assert message(path, bare) == (
        f"{path} must hold the weights of step-0, but the file also has "
        "stages.0.blocks.0.shortcut_norm.weight (s2.pathway0_res0.branch1_bn.weight in the file), "
        "which step-0 lacks: name the network that these weights belong to."
    )
