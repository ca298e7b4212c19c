"""Finds spaces and axes by name: xpand's, or a user's own as `module:Class`, imported and checked."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from expand.system.errors import UserError
from search_spaces.base import Axis, Json, SearchSpace

Space = SearchSpace[Any, Any]
KNOWN_SPACES = {"x3d": "search_spaces.x3d:X3DSpace"}


def load_space(name: str, settings: Json) -> Space:
    """The space that a configuration or a model file names, made with its settings.

    Raises:
        UserError: the name is unknown or cannot be imported, the class lacks members of `SearchSpace`, or it
            does not accept a setting.
    """
    kind = load_class(KNOWN_SPACES.get(name, name), "space", f"one of {', '.join(KNOWN_SPACES)}")
    check_methods(kind, SearchSpace, "space", name)
    try:
        space: Space = kind(**settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"space.settings do not fit {name}: {error}") from None
    check_members(space, SearchSpace, "space", name)
    return space


def choose_axes(space: Space, names: tuple[str, ...] | None) -> Mapping[str, Axis[Any]]:
    """The axes of a search by name, in the order of `names`; None: all axes of the space.

    Raises:
        UserError: a name is neither an axis of the space nor a `module:Class` that can be imported, or the
            class lacks members of `Axis`.
    """
    if names is None:
        return space.axes
    chosen: dict[str, Axis[Any]] = {}
    for name in names:
        known = f"one of {', '.join(space.axes)}"
        axis = space.axes[name] if name in space.axes else load_own(name, Axis, "axis", "axis", known)
        chosen[axis.name] = axis
    return chosen


def load_own(name: str, contract: type, what: str, key: str, known: str) -> Any:
    """An object of a user's own class, made without arguments, such as a cost or a reader.

    Args:
        name: `module:Class`, the text of the setting.
        contract: the protocol whose members the class must have.
        what: the word for such an object, for messages, such as `cost`.
        key: the setting, for messages, such as `search.cost`.
        known: the other names that the setting allows, for messages.

    Raises:
        UserError: the class cannot be imported, lacks members of the protocol, or needs arguments.
    """
    kind = load_class(name, key, known)
    check_methods(kind, contract, what, name)
    arguments = inspect.signature(kind).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one.name for one in arguments if one.default is one.empty and one.kind not in variable]
    if needed:
        raise UserError(
            f"{what} {name!r} must have a constructor that needs no arguments, but it needs "
            f"{', '.join(needed)}: give each a default."
        )
    own = kind()
    check_members(own, contract, what, name)
    return own


def check_methods(kind: object, contract: type, what: str, name: str) -> None:
    """Raises UserError if a class lacks methods of the protocol `contract`; called before the class is.

    So a name that by mistake names some other class never runs that class's code.

    Args:
        kind: the class.
        contract: the protocol.
        what: the setting's word for such a class, such as `space`, for the message.
        name: the name in the setting, for the message.
    """
    methods = [member for member, value in vars(contract).items() if callable(value)]
    _check(kind, methods, contract, what, name)


def check_members(value: object, contract: type, what: str, name: str) -> None:
    """Raises UserError if an object lacks any member of the protocol `contract`.

    So a user's own class that is incomplete fails at the start, not at the end of a search. The arguments are
    those of `check_methods`, with an object in place of the class.
    """
    _check(value, list(vars(contract)), contract, what, name)


def _check(value: object, names: list[str], contract: type, what: str, name: str) -> None:
    members = [member for member in names if not member.startswith("_")]
    if missing := [member for member in members if not hasattr(value, member)]:
        package = contract.__module__.rpartition(".")[0]
        raise UserError(
            f"{what} {name!r} must have all members of {contract.__module__}.{contract.__name__}, but it "
            f"lacks {', '.join(missing)}: add it, and run {package}.conformance on it."
        )


def look_in(folder: Path | None) -> None:
    """Import a user's own modules from this folder, too; None: from no other."""
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def folder_of_modules(names: Iterable[str]) -> Path | None:
    """The current folder, if it holds the module of any of these names; those of other forms have none."""
    here = Path.cwd()
    modules = (name.partition(":")[0].partition(".")[0] for name in names if ":" in name)
    held = any((here / f"{module}.py").is_file() or (here / module).is_dir() for module in modules)
    return here if held else None


def load_class(name: str, what: str, known: str) -> Any:
    """The class that `module:Class` names; modules in the current folder can be imported, as by `python -m`.

    Args:
        name: the text of the setting.
        what: the setting, for messages.
        known: the names that are allowed besides, for messages, such as `one of x3d`.

    Raises:
        UserError: the name has another form, the module cannot be imported, or it has no such class.
    """
    module_name, _, class_name = name.partition(":")
    if not class_name or not all(part.isidentifier() for part in module_name.split(".")):
        raise UserError(f"{what} must be {known}, or your own as module:Class, got {name!r}.")
    look_in(Path.cwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{what} {name!r} must be importable, but there is no module {error.name!r}: run from the folder "
            "that holds it, name that folder (run.modules), or install it."
        ) from None
    except Exception as error:  # the user's own code, which may raise anything
        raise UserError(
            f"{what} {name!r} must name a module that can be imported, but {_blamed(error)}: "
            "correct it there."
        ) from error
    if not hasattr(module, class_name):
        raise UserError(
            f"{what} {name!r} must name a class, but the module {module_name!r} has no {class_name!r}."
        )
    found = getattr(module, class_name)
    if not isinstance(found, type):
        raise UserError(f"{what} {name!r} must name a class, got {type(found).__name__}.")
    return found


def _blamed(error: Exception) -> str:
    """The line of code that raised an error during an import, and the error, for a message."""
    if isinstance(error, SyntaxError):  # has no traceback entry in the module itself
        return f"line {error.lineno} of {error.filename} raises SyntaxError ({error.msg})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"line {last.lineno} of {last.filename} raises {type(error).__name__} ({error})"
