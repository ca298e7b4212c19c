"""Reads weights from a file in any known layout, and checks them against a network tensor by tensor."""

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
from expand.weights.state_dicts import StateDict, find_state_dict, load_content
from search_spaces.x3d.architecture import Architecture

OnRemark = Callable[[str], None]


def unsaid(remark: str) -> None:
    """Ignore a remark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Weights of a file under xpand's names, not checked against a network yet.

    Attributes:
        state: tensors by name.
        layout: the layout of the names in the file; None: xpand's.
        remarks: one line for each kind of tensor that was left out or filled in.
        own: a state dict of the network that the file was opened for, to compare with.
    """

    state: dict[str, Tensor]
    layout: Layout | None
    remarks: tuple[str, ...]
    own: dict[str, Tensor]


def read_weights(
    path: Path,
    model: Model,
    *,
    classifier: Literal["needed", "may differ"] = "needed",
    on_remark: OnRemark = unsaid,
) -> dict[str, Tensor]:
    """The weights of a file, under the names of `model`'s state dict.

    Args:
        path: a .safetensors file, or a file of torch.save with a state dict or a checkpoint that holds one,
            in the layout of xpand, SlowFast, PyTorchVideo or X3D-Multigrid.
        model: the network that the weights must fit.
        classifier: `may differ`: a classifier for another number of classes is left out of the result.
        on_remark: called with one line for each other kind of tensor that is left out or filled in.

    Raises:
        UserError: the file cannot be read, or the weights are another network's; names the first tensor that
            differs.
    """
    opened = open_weights(path, model)
    for remark in opened.remarks:
        on_remark(remark)
    return check_weights(opened.state, model, path, opened.layout, classifier=classifier, own=opened.own)


def open_weights(path: Path, model: Model) -> Opened:
    """The weights of a file under xpand's names, without a check of their names and shapes.

    Raises:
        UserError: the file cannot be read, or holds no state dict, or several.
    """
    content = load_content(path)  # first, as a network that is built for nothing takes longer
    own = _own_state(model)
    read: StateDict = find_state_dict(content, path, own)
    state, layout = read.tensors, layout_of(read.tensors)
    if layout is not None and isinstance(model.architecture, Architecture):
        state = from_layout(state, model.architecture, layout)
    else:
        layout = None
    return Opened(state=state, layout=layout, remarks=read.remarks, own=own)


def check_weights(
    state: Mapping[str, Tensor],
    model: Model,
    path: Path,
    layout: Layout | None,
    *,
    classifier: Literal["needed", "may differ"] = "needed",
    own: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The weights, converted to the dtypes of the network, if their names and shapes are the network's.

    Args:
        state: the weights under xpand's names.
        model: the network.
        path: the file of the weights, for messages.
        layout: the layout of the file, whose names messages then show too.
        classifier: as in `read_weights`.
        own: a state dict of the network; None: the network is built.

    Raises:
        UserError: names the first tensor that is missing, has another shape, or is not the network's.
    """
    wanted = own or _own_state(model)
    fits = all(name in wanted and value.shape == wanted[name].shape for name, value in state.items())
    of_classes = {} if fits else classifier_of(model, wanted)  # builds a second network, so only if needed
    others = [name for name in of_classes if name in state and state[name].shape != wanted[name].shape]
    left_out = set(of_classes) if others and classifier == "may differ" else set()
    given = {name: value for name, value in state.items() if name not in left_out}
    wanted = {name: value for name, value in wanted.items() if name not in left_out}
    _check(given, wanted, path, model, layout, of_classes)
    return {name: value.to(wanted[name].dtype) for name, value in given.items()}


def classes_in(opened: Opened, model: Model) -> int:
    """The number of classes of the weights' classifier; the network's, if the weights have no classifier."""
    state, wanted = opened.state, opened.own
    for name, axis in classifier_of(model, wanted).items():
        if name in state and state[name].ndim == wanted[name].ndim:
            return state[name].shape[axis]
    return len(model.classes)


def classifier_of(model: Model, wanted: Mapping[str, Tensor]) -> dict[str, int]:
    """The names of the tensors whose shape depends on the number of classes, with the dimension that does."""
    more = _own_state(replace(model, classes=(*model.classes, "")))
    axes: dict[str, int] = {}
    for name, value in wanted.items():
        for axis, (size, larger) in enumerate(zip(value.shape, more[name].shape, strict=True)):
            if larger == size + 1:
                axes[name] = axis
    return axes


def _own_state(model: Model) -> dict[str, Tensor]:
    """A state dict of the network, for its names, shapes and dtypes; the random state is left unchanged."""
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
    """Raises UserError for the first tensor, in the order of the network, that differs from `wanted`.

    Args:
        state: the weights.
        wanted: a state dict of the network.
        path, model, layout: for the message.
        of_classes: see `classifier_of`; a difference there is reported as another number of classes.
    """

    def shown(name: str) -> str:
        in_file = name if layout is None else name_in(layout, name)
        return name if in_file == name else f"{name} ({in_file} in the file)"

    if state and not any(name in wanted for name in state):
        known = "xpand, SlowFast, PyTorchVideo or X3D-Multigrid"
        raise UserError(
            f"{path} must have the names that {known} gives to weights, but it has {next(iter(state))}: "
            "rename the weights."
        )
    of = f"{path} must hold the weights of {model.name}, but"
    change = "name the network that these weights belong to."
    for name, value in wanted.items():
        if name not in state:
            raise UserError(f"{of} {shown(name)} is missing: {change}")
        given, shape = tuple(state[name].shape), tuple(value.shape)
        if given == shape:
            continue
        axis = of_classes.get(name)
        if axis is not None and [*given[:axis], *given[axis + 1 :]] == [*shape[:axis], *shape[axis + 1 :]]:
            raise UserError(
                f"{path} must hold weights for the {shape[axis]} classes of {model.name}, but {shown(name)} "
                f"has shape {given}, not {shape}: `xpand import` makes a model with the classes of the file."
            )
        raise UserError(f"{of} {shown(name)} has shape {given}, not {shape}: {change}")
    for name in state:
        if name not in wanted:
            raise UserError(f"{of} the file also has {shown(name)}, which {model.name} lacks: {change}")
