"""Finds a network's state dict in files of weights and checkpoints; no code in a file is ever run."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from expand.system.errors import UserError
from expand.weights.layouts import FIRST_NAMES, layout_of

# The usual keys of the weights in a checkpoint. Under another key they are found if it is the only one.
_INSIDE = ("model_state", "state_dict", "model_state_dict", "model_weights", "model")
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")  # DataParallel, wrappers, torch.compile
_PROFILED = frozenset({"total_ops", "total_params"})  # buffers that the profiler thop leaves in every module
_NAMED = 3  # number of tensors that a remark names


class _Aside:
    """A stand-in for an object beside the weights: accepts its arguments and state, and ignores them."""

    def __init__(self, *given: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


# Classes whose objects training scripts save beside the weights. torch.load makes an `_Aside` of each object
# and imports nothing.
_BESIDE = (
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray"),
    *("argparse.Namespace", "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateDict:
    """The state dict of a file.

    Attributes:
        tensors: by name, without the prefixes of wrappers.
        remarks: one line for each kind of tensor that was left out or filled in.
    """

    tensors: dict[str, Tensor]
    remarks: tuple[str, ...]


def find_state_dict(content: Any, path: Path, own: Collection[str]) -> StateDict:
    """The state dict in the content of a file, which may be the state dict or a checkpoint that holds it.

    Tensors that wrappers, profilers and metrics added are left out. Whether the others fit the network is not
    checked here.

    Args:
        content: what `load_content` returns.
        path: the file, for messages.
        own: the names in xpand's state dict of the network, in its order.

    Raises:
        UserError: there is no state dict, or there are several.
    """
    tensors, others = _state_in(content, path)
    remarks = [f"left out, as other weights that the file holds: {_shortened(others)}"] if others else []
    prefix = _prefix(tensors, own, path)
    inside = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    outside += [prefix + name for name in _not_of_the_network(inside, own)]
    if outside:
        remarks.append(f"left out, as they are not the network's: {_shortened(outside)}")
    inside = {name: value for name, value in inside.items() if prefix + name not in set(outside)}
    counters = _missing_counters(inside, own)
    if counters:
        norms = f"{len(counters)} norm{'s' * (len(counters) != 1)}"
        remarks.append(f"num_batches_tracked of {norms} is missing, and starts at 0: no output depends on it")
    return StateDict(
        tensors=inside | {name: torch.zeros((), dtype=torch.int64) for name in counters},
        remarks=tuple(remarks),
    )


def load_content(path: Path) -> Any:
    """The content of a file of safetensors or torch.save.

    Raises:
        UserError: the file cannot be read, or holds code.
    """
    if not path.is_file():
        raise UserError(f"the weights must be a file, but there is no file {path}: give another path.")
    try:
        with path.open("rb") as file:
            _check_no_text(file.read(64), path)
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([(_Aside, name) for name in _BESIDE]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} must hold tensors and plain values only, but it holds code or is not a checkpoint: "
            "save its state dict alone."
        ) from None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception:  # torch raises many kinds for bytes that are not a checkpoint
        raise UserError(
            f"{path} must be a whole file of weights, but it is cut off or of an unknown format: "
            "get it again."
        ) from None


def _check_no_text(start: bytes, path: Path) -> None:
    """Raises UserError if a file starts like a Git LFS pointer or a web page, as failed downloads do."""
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} must hold weights, but it is a Git LFS pointer to them: run `git lfs pull`.")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UserError(
            f"{path} must hold weights, but it is a web page: download the file that it links to."
        )


def _state_in(values: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of the state dict in a file's values, and the keys of other state dicts beside it.

    Raises:
        UserError: there is no state dict, or several without one under a usual key.
    """
    if isinstance(values, Mapping):
        inside = {str(key): value for key, value in values.items() if _is_state(value)}
        for key in _INSIDE:
            if isinstance(values.get(key), Mapping):
                return _state_in(values[key], path)[0], tuple(other for other in inside if other != key)
        tensors = {str(name): value for name, value in values.items() if isinstance(value, Tensor)}
        if any("." in name for name in tensors) or (tensors and not inside):
            return tensors, tuple(inside)
        if len(inside) == 1:
            return _state_in(next(iter(inside.values())), path)
        if inside:
            raise UserError(
                f"{path} must hold one state dict, but it has several, under {', '.join(inside)}: "
                "save the wanted one alone."
            )
    raise UserError(
        f"{path} must hold a state dict, at the top or under {', '.join(_INSIDE)}, but it has none: "
        "save the network's state dict."
    )


def _is_state(value: object) -> bool:
    """Whether a value looks like a state dict: a mapping with a tensor under a dotted name."""
    return isinstance(value, Mapping) and any(
        isinstance(each, Tensor) and "." in str(name) for name, each in value.items()
    )


def _prefix(names: Collection[str], own: Collection[str], path: Path) -> str:
    """The prefix that wrappers put before the network's names.

    Raises:
        UserError: several networks are found under different prefixes, not exactly one of them a usual one.
    """
    prefixes = _prefixes(names, own)
    outer = [one for one in prefixes if not any(one != other and one.startswith(other) for other in prefixes)]
    if not outer:
        return _common(names)
    known = [one for one in outer if not _without_wrappers(one)]
    if len(outer) > 1 and len(known) != 1:
        raise UserError(
            f"{path} must hold one network, but it has several, under {', '.join(outer)}: save the state "
            "dict of one."
        )
    return (known or outer)[0]


def _prefixes(names: Iterable[str], own: Collection[str]) -> list[str]:
    """The prefixes before the first weight of a network in any layout, one for each network found."""
    firsts = (*FIRST_NAMES, *list(own)[:1])
    return list(
        dict.fromkeys(
            name.removesuffix(first)
            for name in names
            for first in firsts
            if name == first or name.endswith(f".{first}")
        )
    )


def _common(names: Collection[str]) -> str:
    """The prefixes of known wrappers that all names have in common."""
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return prefix + _common([name.removeprefix(prefix) for name in names])
    return ""


def _without_wrappers(prefix: str) -> str:
    """A prefix without the known wrappers at its start."""
    return next(
        (_without_wrappers(prefix.removeprefix(each)) for each in _PREFIXES if prefix.startswith(each)),
        prefix,
    )


def _not_of_the_network(state: Mapping[str, Tensor], own: Collection[str]) -> list[str]:
    """The names of tensors that profilers, counters and copies of the network added to its own weights."""
    copies = tuple(
        prefix
        for prefix in _prefixes(state, own)
        if prefix and not any(name.startswith(prefix) for name in own)
    )
    return [
        name
        for name, value in state.items()
        if name not in own
        and (
            name.rpartition(".")[2] in _PROFILED
            or ("." not in name and value.numel() <= 1)
            or name.startswith(copies)
        )
    ]


def _missing_counters(state: Mapping[str, Tensor], own: Collection[str]) -> list[str]:
    """The names of num_batches_tracked that are missing, as in old checkpoints, of norms with statistics."""
    any_norm = layout_of(state) is not None
    modules = (name.removesuffix("running_mean") for name in state if name.endswith("running_mean"))
    counters = (f"{module}num_batches_tracked" for module in modules if f"{module}running_var" in state)
    return [name for name in counters if name not in state and (any_norm or name in own)]


def _shortened(names: Sequence[str]) -> str:
    """The first names as text, with the number of the others."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
