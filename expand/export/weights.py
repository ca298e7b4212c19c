"""Weights from a file of any kind that is known, checked against a network layer by layer."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from expand.errors import UserError
from expand.export.layouts import Layout, from_layout, layout_of, name_in
from expand.models import Model
from search_spaces.x3d.architecture import Architecture

# Where checkpoints keep the weights, besides at the top.
_INSIDE = ("model_state", "state_dict", "model_state_dict", "model_weights", "model")
_PREFIXES = ("module.", "model.", "_orig_mod.")  # DataParallel, wrappers, torch.compile


def read_weights(
    path: Path, model: Model, *, classifier: Literal["needed", "may differ"] = "needed"
) -> dict[str, Tensor]:
    """The weights in a file, under the names of `model`'s state dict.

    Args:
        path: .safetensors, or what torch.save wrote: a state dict, or a checkpoint that holds one, under the
            names of xpand, SlowFast, PyTorchVideo or X3D-Multigrid.
        model: the network that they must fit.
        classifier: `may differ`: one for another number of classes is left out of the result.

    Raises:
        UserError: the file cannot be read, or is of another network; the first layer that differs is named.
    """
    state, layout = open_weights(path, model.architecture)
    wanted = shapes_of(model)
    if classifier == "may differ":
        names = [name for name in wanted if _is_classifier(name)]
        if any(name in state and state[name].shape != wanted[name] for name in names):
            for name in names:
                state.pop(name, None)
                del wanted[name]
    _check(state, wanted, path, model, layout)
    return state


def open_weights(path: Path, architecture: object) -> tuple[dict[str, Tensor], Layout | None]:
    """The weights in a file under xpand's names, unchecked, and whose names they had (None: xpand's)."""
    state = _stripped(_read(path))
    layout = layout_of(state)
    if layout is None or not isinstance(architecture, Architecture):
        return state, None
    return from_layout(state, architecture, layout), layout


def shapes_of(model: Model) -> dict[str, torch.Size]:
    """The names and shapes of a network's state dict."""
    with torch.device("meta"):
        return {name: value.shape for name, value in model.build().state_dict().items()}


def _is_classifier(name: str) -> bool:
    return "classifier." in f".{name}"


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"the weights must be a file, but {path} is none.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} must hold tensors and plain values only, but it holds code or is no checkpoint: "
            "save its state dict alone."
        ) from None
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise UserError(
            f"{path} must be a whole file of weights, but it is cut off or of no known kind."
        ) from None
    return _state_in(values, path)


def _state_in(values: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(values, Mapping):
        for key in _INSIDE:
            if isinstance(values.get(key), Mapping):
                return _state_in(values[key], path)
        tensors = {str(name): value for name, value in values.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise UserError(
        f"{path} must hold a state dict, at the top or under {', '.join(_INSIDE)}, but it has none."
    )


def _stripped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without a prefix that all names have."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _stripped({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _check(
    state: Mapping[str, Tensor],
    wanted: Mapping[str, torch.Size],
    path: Path,
    model: Model,
    layout: Layout | None,
) -> None:
    def said(name: str) -> str:
        return name if layout is None else f"{name} ({name_in(layout, name)} there)"

    of = f"{path} must hold the weights of {model.name}, but"
    change = "name the network that they are of."
    for name, shape in wanted.items():
        if name not in state:
            raise UserError(f"{of} {said(name)} is missing: {change}")
        if state[name].shape != shape:
            given = tuple(state[name].shape)
            raise UserError(f"{of} {said(name)} has shape {given}, not {tuple(shape)}: {change}")
    for name in state:
        if name not in wanted:
            raise UserError(f"{of} it has {said(name)} besides, which {model.name} has not: {change}")
