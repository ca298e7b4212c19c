"""A run's configuration from a file, from the command's options, and from the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from expand.config.base import read_yaml, validated
from expand.config.data_paths import within
from expand.config.full import Recipe, released_jitter
from expand.config.search import Config, DataConfig, from_values
from expand.config.targets import parse_target
from expand.system.errors import UserError
from search_spaces.base import ClipSampling

# Of a full training: finer than in a search, which keeps frames for the fastest of many kinds of clips.
_OVERSAMPLING = 4.0


NO_SETTINGS: Mapping[str, Any] = {}


def build_config(
    file: Path | None,
    *,
    data: Path | None = None,
    targets: Sequence[str | int] = (),
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> Config:
    """The file's values, or the embedded default's where neither a file nor data is given; then the options.

    Args:
        file: a YAML file.
        data: the folder of the videos, or `synthetic`.
        targets: such as 80M (multiply-adds), 1.5Mparams or 400Kact.
        settings: any values of the configuration by their key, such as `training.epochs`; a later one goes
            over an earlier one.

    Raises:
        UserError: something of it is wrong; one line says what.
    """
    values, origin = _base(file, data)
    _name_data(values, data, origin)
    if targets:
        _section(values, ["search"], origin)["targets"] = [_checked(target) for target in targets]
    _set(values, settings)
    return from_values(values, origin)


def build_recipe(
    file: Path | None,
    sampling: ClipSampling,
    *,
    data: Path | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    jitter: tuple[float, float] | None = None,
    searched: DataConfig | None = None,
) -> Recipe:
    """The file's values, then the options; the released recipe where nothing is said.

    Args:
        file: a YAML file.
        sampling: the clips of the network: the released jitter depends on their size.
        data: the folder of the videos, or `synthetic`.
        settings: as for `build_config`.
        jitter: where nothing is said; None: the released one.
        searched: the videos where neither the file nor `data` says any: those of the search that found the
            network. How its clips were cut out counts for the search alone.

    Raises:
        UserError: something of it is wrong; one line says what.
    """
    values, origin = ({}, "options") if file is None else _read(file)
    if searched is not None and data is None and "data" not in values:
        values["data"] = searched.model_dump(mode="json", exclude={"jitter", "oversampling"})
    _name_data(values, data, origin)
    _set(values, settings)
    section = _section(values, ["data"], origin)
    section.setdefault("jitter", jitter or released_jitter(sampling))
    section.setdefault("oversampling", _OVERSAMPLING)
    return validated(values, origin, Recipe)


def _name_data(values: dict[str, Any], data: Path | None, origin: str) -> None:
    if data is None:
        return
    section = _section(values, ["data"], origin)
    if str(data) == "synthetic":
        section.update({"format": "synthetic", "path": None})
        return
    before = section.get("path")
    for key in ("train", "val"):  # lists among the videos that were named before
        if isinstance(section.get(key), str) and isinstance(before, str):
            section[key] = str(within(Path(section[key]), Path(before), data))
    section["path"] = str(data)


def _set(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        *path, last = key.split(".")
        _section(values, path, f"setting {key}")[last] = deepcopy(value)  # later ones may go into it


def _base(file: Path | None, data: Path | None) -> tuple[dict[str, Any], str]:
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
    """The mapping at a path of keys, made where it is missing."""
    for key in path:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise UserError(f"{origin}: {key} must hold keys and values, got {values!r}.")
    return values


def _checked(target: str | int) -> str | int:
    try:
        parse_target(target)
    except ValueError as error:
        raise UserError(f"--target: {error}.") from None
    return target
