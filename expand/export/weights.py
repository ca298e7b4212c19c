"""Weights from a file of any kind that is known, checked against a network layer by layer."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor

from expand.errors import UserError
from expand.export.layouts import Layout, from_layout, layout_of, name_in
from expand.models import Model
from search_spaces.x3d.architecture import Architecture

# Where checkpoints keep the weights, besides at the top.
_INSIDE = ("model_state", "state_dict", "model_state_dict", "model_weights", "model")
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")  # DataParallel, wrappers, torch.compile


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
    return check_weights(state, model, path, layout, classifier=classifier)


def open_weights(path: Path, architecture: object) -> tuple[dict[str, Tensor], Layout | None]:
    """The weights in a file under xpand's names, unchecked, and whose names they had (None: xpand's)."""
    state = _stripped(_read(path))
    layout = layout_of(state)
    if layout is None or not isinstance(architecture, Architecture):
        return state, None
    return from_layout(state, architecture, layout), layout


def check_weights(
    state: Mapping[str, Tensor],
    model: Model,
    path: Path,
    layout: Layout | None,
    *,
    classifier: Literal["needed", "may differ"] = "needed",
) -> dict[str, Tensor]:
    """The same weights, each with the network's type of number; `path` and `layout` are for messages.

    Raises:
        UserError: they are not those of the network.
    """
    wanted = _fresh(model)
    of_classes = classifier_of(model, wanted)
    others = [name for name in of_classes if name in state and state[name].shape != wanted[name].shape]
    left_out = set(of_classes) if others and classifier == "may differ" else set()
    given = {name: value for name, value in state.items() if name not in left_out}
    wanted = {name: value for name, value in wanted.items() if name not in left_out}
    _check(given, wanted, path, model, layout, of_classes)
    return {name: value.to(wanted[name].dtype) for name, value in given.items()}


def classes_in(state: Mapping[str, Tensor], model: Model) -> int:
    """How many classes the weights tell apart; where they have no classifier, as many as the network."""
    wanted = _fresh(model)
    for name, axis in classifier_of(model, wanted).items():
        if name in state and state[name].ndim == wanted[name].ndim:
            return state[name].shape[axis]
    return len(model.classes)


def classifier_of(model: Model, wanted: Mapping[str, Tensor]) -> dict[str, int]:
    """The weights whose shape depends on the number of classes, and the axis along which it does."""
    more = _fresh(replace(model, classes=(*model.classes, "")))
    axes: dict[str, int] = {}
    for name, value in wanted.items():
        for axis, (size, larger) in enumerate(zip(value.shape, more[name].shape, strict=True)):
            if larger == size + 1:
                axes[name] = axis
    return axes


def _fresh(model: Model) -> dict[str, Tensor]:
    """A state dict of the network, for names, shapes and types; leaves the random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        return model.build().state_dict()


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"the weights must be a file, but {path} is none.")
    try:
        if path.suffix == ".safetensors":
            values: Any = load_file(path)
        else:
            values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} must hold tensors and plain values only, but it holds code or is no checkpoint: "
            "save its state dict alone."
        ) from None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception:  # of many kinds: bytes that are no checkpoint are read as if they were
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
    wanted: Mapping[str, Tensor],
    path: Path,
    model: Model,
    layout: Layout | None,
    of_classes: Mapping[str, int],
) -> None:
    """Raises UserError for the first layer, in the order of the network, that is not as wanted."""

    def said(name: str) -> str:
        there = name if layout is None else name_in(layout, name)
        return name if there == name else f"{name} ({there} there)"

    if state and not any(name in wanted for name in state):
        known = "xpand, SlowFast, PyTorchVideo or X3D-Multigrid"
        raise UserError(
            f"{path} must have the names that {known} gives to weights, but it has {next(iter(state))}: "
            "rename them."
        )
    of = f"{path} must hold the weights of {model.name}, but"
    change = "name the network that they are of."
    for name, value in wanted.items():
        if name not in state:
            raise UserError(f"{of} {said(name)} is missing: {change}")
        given, shape = tuple(state[name].shape), tuple(value.shape)
        if given == shape:
            continue
        axis = of_classes.get(name)
        if axis is not None and [*given[:axis], *given[axis + 1 :]] == [*shape[:axis], *shape[axis + 1 :]]:
            raise UserError(
                f"{path} must hold weights for the {shape[axis]} classes of {model.name}, but {said(name)} "
                f"has shape {given}, not {shape}: `xpand import` makes a model with the classes of the file."
            )
        raise UserError(f"{of} {said(name)} has shape {given}, not {shape}: {change}")
    for name in state:
        if name not in wanted:
            raise UserError(f"{of} it has {said(name)} besides, which {model.name} has not: {change}")
