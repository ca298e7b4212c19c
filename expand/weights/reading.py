"""Weights from a file of any kind that is known, checked against a network layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from expand.system.errors import UserError
from expand.weights.layouts import Layout, from_layout, layout_of, name_in
from expand.weights.models import Model
from expand.weights.state_dicts import StateDict, read_state_dict
from search_spaces.x3d.architecture import Architecture

OnRemark = Callable[[str], None]


def unsaid(remark: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Weights from a file under xpand's names, unchecked.

    Attributes:
        state: by name.
        layout: whose names they had; None: xpand's.
        remarks: a line on each kind of thing that was left out or filled in.
    """

    state: dict[str, Tensor]
    layout: Layout | None
    remarks: tuple[str, ...]


def read_weights(
    path: Path,
    model: Model,
    *,
    classifier: Literal["needed", "may differ"] = "needed",
    on_remark: OnRemark = unsaid,
) -> dict[str, Tensor]:
    """The weights in a file, under the names of `model`'s state dict.

    Args:
        path: .safetensors, or what torch.save wrote: a state dict, or a checkpoint that holds one, under the
            names of xpand, SlowFast, PyTorchVideo or X3D-Multigrid.
        model: the network that they must fit.
        classifier: `may differ`: one for another number of classes is left out of the result.
        on_remark: is told what else is left out, or filled in.

    Raises:
        UserError: the file cannot be read, or is of another network; the first layer that differs is named.
    """
    opened = open_weights(path, model)
    for remark in opened.remarks:
        on_remark(remark)
    return check_weights(opened.state, model, path, opened.layout, classifier=classifier)


def open_weights(path: Path, model: Model) -> Opened:
    """The weights in a file for a network, unchecked.

    Raises:
        UserError: the file cannot be read, or holds no state dict, or several.
    """
    found: StateDict = read_state_dict(path, _fresh(model))
    state, layout = found.tensors, layout_of(found.tensors)
    if layout is not None and isinstance(model.architecture, Architecture):
        return Opened(
            state=from_layout(state, model.architecture, layout), layout=layout, remarks=found.remarks
        )
    return Opened(state=state, layout=None, remarks=found.remarks)


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
    fits = all(name in wanted and value.shape == wanted[name].shape for name, value in state.items())
    of_classes = {} if fits else classifier_of(model, wanted)  # which takes another network to tell
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
