"""Builds a configuration from a file, the command's options and the defaults; options override the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from expand.config.base import read_yaml, validated
from expand.config.data import DataConfig
from expand.config.data_paths import within
from expand.config.full import Recipe, released_jitter
from expand.config.search import Config, from_values
from expand.config.spaces import look_in
from expand.config.targets import parse_target
from expand.system.errors import UserError
from search_spaces.base import ClipSampling

# The default `data.oversampling` of a full training. It is above the search's, since a search keeps frames
# for the fastest of many kinds of clips.
_OVERSAMPLING = 4.0


NO_SETTINGS: Mapping[str, Any] = {}


def build_config(
    file: Path | None,
    *,
    data: Path | None = None,
    targets: Sequence[str | int] = (),
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> Config:
    """The configuration of a search: the values of `file`, overridden by the other arguments.

    If neither `file` nor `data` is given, the values of config/default.yaml take the place of the file's.

    Args:
        file: a YAML file with any of the settings.
        data: the folder of the videos, a list of them (as `data.train`), or `synthetic`.
        targets: such as 80M (multiply-adds), 1.5Mparams or 6MB.
        settings: values by their keys, such as `training.epochs`; later ones override earlier ones.

    Raises:
        UserError: one line that says which key, target or file is wrong.
    """
    values, origin = _initial_values(file, data)
    _set_data(values, data, origin)
    if targets:
        _section(values, ["search"], origin)["targets"] = [_checked(target) for target in targets]
    _set_all(values, settings)
    config = from_values(values, origin)
    look_in(config.run.modules)
    return config


def build_recipe(
    file: Path | None,
    sampling: ClipSampling,
    *,
    data: Path | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    jitter: tuple[float, float] | None = None,
    searched: DataConfig | None = None,
    defaults: Mapping[str, Any] = NO_SETTINGS,
) -> Recipe:
    """The configuration of a full training: the values of `file`, overridden by `data` and `settings`.

    Settings that none of them names have the values of `defaults`, or else of X3D's released recipe.

    Args:
        file: a YAML file with any of the settings.
        sampling: the network's clips; the released jitter depends on their size.
        data: the folder of the videos, or `synthetic`.
        settings: as in `build_config`.
        jitter: the default of `data.jitter`; None: the released one.
        searched: the data section of the search that found the network, for use if neither `file` nor `data`
            names videos. Its jitter and oversampling are left out, as they belong to the search.
        defaults: values of the section `training` by their names.

    Raises:
        UserError: one line that says which key or file is wrong.
    """
    values, origin = ({}, "options") if file is None else _read(file)
    if searched is not None and data is None and "data" not in values:
        values["data"] = searched.model_dump(mode="json", exclude={"jitter", "oversampling"})
    _set_data(values, data, origin)
    _set_all(values, settings)
    section = _section(values, ["data"], origin)
    section.setdefault("jitter", jitter or released_jitter(sampling))
    section.setdefault("oversampling", _OVERSAMPLING)
    training = _section(values, ["training"], origin)
    for name, value in defaults.items():
        training.setdefault(name, value)
    return validated(values, origin, Recipe)


def _set_data(values: dict[str, Any], data: Path | None, origin: str) -> None:
    """Set the videos' folder, a list in it, or `synthetic`; lists in the previous folder are moved along."""
    if data is None:
        return
    section = _section(values, ["data"], origin)
    if str(data) == "synthetic":
        section.update({"format": "synthetic", "path": None})
        return
    if data.is_file():  # a list of videos, which lie where it does
        section.update({"path": str(data.parent), "train": str(data)})
        return
    before = section.get("path")
    for key in ("train", "val"):  # lists inside the folder of videos that the file names move with it
        if isinstance(section.get(key), str) and isinstance(before, str):
            section[key] = str(within(Path(section[key]), Path(before), data))
    section["path"] = str(data)


def _set_all(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Set values by their dotted keys."""
    for key, value in settings.items():
        *path, last = key.split(".")
        _section(values, path, f"setting {key}")[last] = deepcopy(value)  # later settings may change it


def _initial_values(file: Path | None, data: Path | None) -> tuple[dict[str, Any], str]:
    """The values of a file, of config/default.yaml or none, and their origin for messages."""
    if file is not None:
        return _read(file)
    if data is not None:
        return {}, "options"
    with as_file(files("expand.config") / "default.yaml") as default:
        return dict(read_yaml(default)), "options"


def _read(file: Path) -> tuple[dict[str, Any], str]:
    values = read_yaml(file)
    if not isinstance(values, dict):
        raise UserError(f"{file} must hold keys and values, got {type(values).__name__}.")
    return values, str(file)


def _section(values: dict[str, Any], path: Sequence[str], origin: str) -> dict[str, Any]:
    """The mapping at a path of keys inside `values`; missing mappings are added."""
    for key in path:
        if values.get(key) is None:  # left out, or null as in `start: null`
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):
            raise UserError(f"{origin}: {key} must hold keys and values, got {values!r}.")
    return values


def _checked(target: str | int) -> str | int:
    """The target itself; raises UserError if it cannot be parsed."""
    try:
        parse_target(target)
    except ValueError as error:
        raise UserError(f"--target: {error}.") from None
    return target
