"""A network's state dict out of what people save around it. No code of a file is run."""

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

# Where checkpoints keep the weights, besides at the top; elsewhere they are found where there are no others.
_INSIDE = ("model_state", "state_dict", "model_state_dict", "model_weights", "model")
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")  # DataParallel, wrappers, torch.compile
_PROFILED = frozenset({"total_ops", "total_params"})  # buffers that thop leaves in every module
_NAMED = 3  # tensors that a remark names


class _Aside:
    """Stands for an object beside the weights: it takes what that one was made of, and does nothing."""

    def __init__(self, *given: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


# Objects that training scripts keep beside the weights. Torch makes an `_Aside` of each and imports nothing.
_BESIDE = (
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray"),
    *("argparse.Namespace", "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateDict:
    """What a file says a network's weights are.

    Attributes:
        tensors: by name, without what wrappers put before each.
        remarks: a line on each kind of thing that was left out or filled in.
    """

    tensors: dict[str, Tensor]
    remarks: tuple[str, ...]


def read_state_dict(path: Path, own: Collection[str]) -> StateDict:
    """The state dict in a file: of torch.save, alone or in a checkpoint, or of safetensors.

    Left out is what wrappers, profilers and metrics add; whether the rest fits is not checked here.

    Args:
        path: of the file.
        own: the names in xpand's state dict of the network, in its order.

    Raises:
        UserError: it cannot be read, or it holds no state dict, or several.
    """
    tensors, others = _state_in(_load(path), path)
    remarks = [f"left out, as other weights that the file holds: {_some(others)}"] if others else []
    prefix = _prefix(tensors, own, path)
    inside = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    outside += [prefix + name for name in _not_of_the_network(inside, own)]
    if outside:
        remarks.append(f"left out, as they are not the network's: {_some(outside)}")
    inside = {name: value for name, value in inside.items() if prefix + name not in set(outside)}
    counters = _missing_counters(inside, own)
    if counters:
        norms = f"{len(counters)} norm{'s' * (len(counters) != 1)}"
        remarks.append(f"num_batches_tracked of {norms} is missing, and starts at 0: no output depends on it")
    return StateDict(
        tensors=inside | {name: torch.zeros((), dtype=torch.int64) for name in counters},
        remarks=tuple(remarks),
    )


def _load(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"the weights must be a file, but {path} is none.")
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
            f"{path} must hold tensors and plain values only, but it holds code or is no checkpoint: "
            "save its state dict alone."
        ) from None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception:  # of many kinds: bytes that are no checkpoint are read as if they were
        raise UserError(
            f"{path} must be a whole file of weights, but it is cut off or of no known kind."
        ) from None


def _check_no_text(start: bytes, path: Path) -> None:
    """Raises UserError for what downloads leave in place of weights."""
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} must hold weights, but it is Git LFS's pointer to them: run `git lfs pull`.")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UserError(
            f"{path} must hold weights, but it is a web page: download the file that it links to."
        )


def _state_in(values: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of one state dict, and the keys of others beside it."""
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
                "save the one that is meant."
            )
    raise UserError(
        f"{path} must hold a state dict, at the top or under {', '.join(_INSIDE)}, but it has none."
    )


def _is_state(value: object) -> bool:
    """Whether it looks like a state dict: tensors by the names of modules."""
    return isinstance(value, Mapping) and any(
        isinstance(each, Tensor) and "." in str(name) for name, each in value.items()
    )


def _prefix(names: Collection[str], own: Collection[str], path: Path) -> str:
    """What stands before the names of the network.

    Raises:
        UserError: there are several networks, and nothing says which one is meant.
    """
    found = _prefixes(names, own)
    outer = [one for one in found if not any(one != other and one.startswith(other) for other in found)]
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
    """What stands before the first weight of a network of any layout."""
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
    """The names of known wrappers that stand before all names."""
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return prefix + _common([name.removeprefix(prefix) for name in names])
    return ""


def _without_wrappers(prefix: str) -> str:
    return next(
        (_without_wrappers(prefix.removeprefix(each)) for each in _PREFIXES if prefix.startswith(each)),
        prefix,
    )


def _not_of_the_network(state: Mapping[str, Tensor], own: Collection[str]) -> list[str]:
    """What profilers, counters and copies of the network add to its own weights."""
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
    """The counters that old checkpoints lack, of norms whose statistics are there."""
    any_norm = layout_of(state) is not None
    modules = (name.removesuffix("running_mean") for name in state if name.endswith("running_mean"))
    counters = (f"{module}num_batches_tracked" for module in modules if f"{module}running_var" in state)
    return [name for name in counters if name not in state and (any_norm or name in own)]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
