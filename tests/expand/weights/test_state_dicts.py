"""Checkpoints as people save them: read, read with a word on what was left out, or refused in one line."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from expand.system.errors import UserError
from expand.weights.layouts import from_layout, to_layout
from expand.weights.models import Model, find_model
from expand.weights.reading import read_weights

RUN = Path(__file__).parents[1] / "x3d_run"
State = dict[str, Tensor]
FIRST = "s1.pathway0_stem.conv_xy.weight"
CODE = (
    "must hold tensors and plain values only, but it holds code or is not a checkpoint: "
    "save its state dict alone."
)
CUT = "must be a whole file of weights, but it is cut off or of an unknown format: get it again."


@pytest.fixture(scope="module")
def model() -> Model:
    return find_model(RUN, "step-0")


@pytest.fixture(scope="module")
def state(model: Model) -> State:
    """Under SlowFast's names."""
    return to_layout(model.build().state_dict(), model.architecture, "slowfast")


def under(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def of_type(state: State, kind: torch.dtype) -> State:
    return {name: value.to(kind) if value.is_floating_point() else value for name, value in state.items()}


def moved(state: State) -> State:
    return {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
LEFT_OUT = "left out, as they are not the network's: "
EMA = f"ema.{FIRST}, ema.s1.pathway0_stem.conv.weight, ema.s1.pathway0_stem.bn.weight and 263 more"
READ: dict[str, tuple[Callable[[State], Any], list[str]]] = {
    "SlowFast's": (
        lambda s: {
            "epoch": 3,
            "model_state": s,
            "optimizer_state": OPTIMIZER,
            "cfg": "TRAIN:\n  ENABLE: true\n",
        },
        [],
    ),
    "DataParallel's": (lambda s: {"model_state": under("module.", s)}, []),
    "compiled in DDP": (lambda s: {"model": under("module._orig_mod.", s)}, []),
    "Lightning's": (
        lambda s: {
            "pytorch-lightning_version": "2.1",
            "state_dict": under("model.", s),
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [OPTIMIZER],
        },
        [],
    ),
    "Lightning's with a loss and a metric": (
        lambda s: {
            "state_dict": {
                **under("model.", s),
                "criterion.weight": torch.ones(3),
                "val_acc.tp": torch.zeros(3),
            }
        },
        [f"{LEFT_OUT}criterion.weight, val_acc.tp"],
    ),
    "a key of one's own": (lambda s: {"net": s, "acc": 1.0}, []),
    "a key of one's own beside a number": (lambda s: {"net": s, "acc": torch.tensor(1.0)}, []),
    "a wrapper of one's own": (lambda s: {"state_dict": under("network.", s)}, []),
    "half": (lambda s: {"model_state": of_type(s, torch.half)}, []),
    "bfloat16": (lambda s: {"model_state": of_type(s, torch.bfloat16)}, []),
    "double": (lambda s: of_type(s, torch.double), []),
    "numpy scalars": (
        lambda s: {"epoch": np.int64(3), "best": np.float64(71.2), "done": np.bool_(True), "model_state": s},
        [],
    ),
    "a numpy array": (lambda s: {"confusion": np.eye(3), "model_state": s}, []),
    "arguments of a script": (
        lambda s: {"args": argparse.Namespace(lr=0.1, out=Path("x")), "state_dict": under("module.", s)},
        [],
    ),
    "averaged weights beside": (
        lambda s: {"model_state": s, "ema_state": moved(s)},
        ["left out, as other weights that the file holds: ema_state"],
    ),
    "averaged weights inside": (
        lambda s: {"state_dict": {**s, **under("ema.", moved(s))}},
        [f"{LEFT_OUT}{EMA}"],
    ),
    "averaged weights inside of a wrapper": (
        lambda s: {"state_dict": {**under("model.", s), **under("model.ema.", moved(s))}},
        [f"{LEFT_OUT}{EMA.replace('ema.', 'model.ema.')}"],
    ),
    "AveragedModel's": (
        lambda s: {**under("module.", s), "n_averaged": torch.tensor(9)},
        [f"{LEFT_OUT}n_averaged"],
    ),
    "thop's": (
        lambda s: {"state_dict": {**s, "total_ops": torch.zeros(1), "s1.total_params": torch.zeros(1)}},
        [f"{LEFT_OUT}total_ops, s1.total_params"],
    ),
    "a loose counter": (lambda s: {**s, "step": torch.tensor(7)}, [f"{LEFT_OUT}step"]),
    "norms without counters": (
        lambda s: {name: value for name, value in s.items() if "num_batches_tracked" not in name},
        ["num_batches_tracked of 39 norms is missing, and starts at 0: no output depends on it"],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_what_people_save_is_read(tmp_path: Path, model: Model, state: State, case: str) -> None:
    made, wanted = READ[case]
    torch.save(made(state), tmp_path / "net.pt")
    remarks: list[str] = []
    found = read_weights(tmp_path / "net.pt", model, on_remark=remarks.append)
    assert remarks == wanted
    kept = from_layout(state, model.architecture, "slowfast")
    assert found.keys() == kept.keys()
    rough = {"half": 1e-3, "bfloat16": 1e-2}.get(case, 0.0)
    assert all(torch.allclose(found[name], value, rtol=rough, atol=rough) for name, value in kept.items())
    assert all(found[name].dtype == value.dtype for name, value in kept.items())


def test_the_older_files_of_torch(tmp_path: Path, model: Model, state: State) -> None:
    torch.save({"model_state": state}, tmp_path / "net.pyth", _use_new_zipfile_serialization=False)
    assert len(read_weights(tmp_path / "net.pyth", model)) == len(state)


@pytest.mark.parametrize("layout", ["pytorchvideo", "multigrid", None])
def test_norms_without_counters_in_other_layouts(tmp_path: Path, model: Model, layout: Any) -> None:
    own = model.build().state_dict()
    there = own if layout is None else to_layout(own, model.architecture, layout)
    bare = {name: value for name, value in there.items() if not name.endswith("num_batches_tracked")}
    torch.save(bare, tmp_path / "net.pth")
    assert read_weights(tmp_path / "net.pth", model).keys() == own.keys()


class Runs:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "no classifier": (
        lambda s: {name: value for name, value in s.items() if not name.startswith("head.projection")},
        "must hold the weights of step-0, but head.classifier.weight (head.projection.weight in the file) is "
        "missing: name the network that these weights belong to.",
    ),
    "statistics of a norm are missing": (
        lambda s: {name: value for name, value in s.items() if name != "s1.pathway0_stem.bn.running_var"},
        "must hold the weights of step-0, but stem.norm.running_var (s1.pathway0_stem.bn.running_var in the "
        "file) is missing: name the network that these weights belong to.",
    ),
    "one more class": (
        lambda s: {n: torch.cat([v, v[:1]]) if n.startswith("head.projection") else v for n, v in s.items()},
        "must hold weights for the 12 classes of step-0, but head.classifier.weight (head.projection.weight "
        "in the file) has shape (13, 2048), not (12, 2048): "
        "`xpand import` makes a model with the classes of the file.",
    ),
    "a layer that the network lacks": (
        lambda s: {**s, "s6.weight": torch.zeros(3)},
        "must hold the weights of step-0, but the file also has s6.weight, which step-0 lacks: "
        "name the network that these weights belong to.",
    ),
    "a larger tensor without a module": (
        lambda s: {**s, "queue": torch.zeros(3)},
        "must hold the weights of step-0, but the file also has queue, which step-0 lacks: "
        "name the network that these weights belong to.",
    ),
    "two networks in one": (
        lambda s: {**under("student.", s), **under("teacher.", s)},
        "must hold one network, but it has several, under student., teacher.: save the state dict of one.",
    ),
    "two networks beside each other": (
        lambda s: {"student": s, "teacher": s},
        "must hold one state dict, but it has several, under student, teacher: save the wanted one alone.",
    ),
    "a whole module": (lambda _: nn.Linear(3, 3), CODE),
    "a numpy state dict": (
        lambda s: {name: value.numpy() for name, value in s.items()},
        "must hold a state dict, at the top or under model_state, state_dict, model_state_dict, "
        "model_weights, model, but it has none: save the network's state dict.",
    ),
    "code beside weights": (lambda s: {"model_state": s, "hook": Runs()}, CODE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_this_network_is_refused(
    tmp_path: Path, model: Model, state: State, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, wanted = REFUSED[case]
    path = tmp_path / "net.pt"
    torch.save(made(state), path)
    with pytest.raises(UserError) as caught:
        read_weights(path, model)
    assert str(caught.value) == f"{path} {wanted}"
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            b"<!DOCTYPE html>\n",
            "must hold weights, but it is a web page: download the file that it links to.",
        ),
        (b"<html>404</html>", "must hold weights, but it is a web page: download the file that it links to."),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "must hold weights, but it is a Git LFS pointer to them: run `git lfs pull`.",
        ),
        (pickle.dumps(Runs(), protocol=2), CODE),
        (b"PK\x03\x04 cut", CUT),
    ],
)
@pytest.mark.parametrize("suffix", [".pyth", ".safetensors"])
def test_what_downloads_leave(
    tmp_path: Path, model: Model, content: bytes, wanted: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_weights(path, model)
    assert str(caught.value) == f"{path} {CUT if suffix == '.safetensors' and wanted == CODE else wanted}"
    assert not Path("ran").exists()


def test_nothing_stays_allowed(tmp_path: Path, model: Model, state: State) -> None:
    before = torch.serialization.get_safe_globals()
    torch.save({"best": np.float64(1.0), "model_state": state}, tmp_path / "net.pt")
    read_weights(tmp_path / "net.pt", model)
    assert set(torch.serialization.get_safe_globals()) == set(before)
