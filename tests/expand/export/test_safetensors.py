"""Weights under xpand's own names, which say what they are of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

import expand
from expand.export import safetensors
from expand.export.base import NetworkToExport
from expand.system.version import VERSION
from expand.weights.models import Model, find_model
from search_spaces.x3d.architecture import Architecture

RUN = Path(__file__).parents[1] / "x3d_run"


def write(model: Model, state: dict[str, Tensor], path: Path) -> str:
    written = safetensors.write(NetworkToExport(model=model, state=state), path)
    assert written.files == (path, path.with_suffix(".yaml"))
    return written.loading


def test_the_metadata_tell_what_it_is_of(tmp_path: Path) -> None:
    model = find_model(RUN, "step-0")
    write(model, model.build().state_dict(), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        metadata = file.metadata()
    told = json.loads(metadata["xpand"])
    assert (told["name"], told["version"]) == ("step-0", VERSION)
    assert told["space"] == model.values["space"]
    assert Architecture.from_json(told["architecture"]) == model.architecture
    assert tuple(told["classes"]) == model.classes


def test_it_opens_by_its_model_file(tmp_path: Path) -> None:
    model = find_model(RUN, "step-0")
    state = model.build().state_dict()
    loading = write(model, state, tmp_path / "net.safetensors")
    assert (
        'prediction = expand.predict("net.yaml", "video.mp4", views=1)' in loading
    )  # test_snippet.py runs it
    again = expand.load_model(tmp_path / "net.yaml", weights=True).state_dict()
    assert all(torch.equal(again[name], value) for name, value in state.items())


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    model = replace(find_model(RUN, "step-0"))
    flat = torch.arange(24.0)
    write(model, {"one": flat[:12].view(3, 4).t(), "two": flat[6:]}, tmp_path / "net.safetensors")
    found = load_file(tmp_path / "net.safetensors")
    assert torch.equal(found["one"], flat[:12].view(3, 4).t())
    assert torch.equal(found["two"], flat[6:])
