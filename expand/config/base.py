"""The base of typed settings: reads them from YAML, checks every value, refuses unknown keys, writes YAML."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
)

from expand.config.yaml_text import dump_yaml, parse_yaml
from expand.system.errors import UserError


class Section(BaseModel):
    """A part of a configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


AnyConfig = TypeVar("AnyConfig", bound=BaseModel)


def to_yaml(config: BaseModel) -> str:
    """A configuration as YAML, with all its values; `load_config` reads it again."""
    return dump_yaml(config.model_dump(mode="json"))


def validated(values: object, origin: str, kind: type[AnyConfig]) -> AnyConfig:
    """A configuration of the class `kind` from plain values.

    Args:
        values: what YAML gave; must be a mapping.
        origin: where the values come from, such as a file's path; messages start with it.
        kind: the class of the configuration.

    Raises:
        UserError: one line that names each unknown key, wrong type, and value out of range.
    """
    if not isinstance(values, dict):
        raise UserError(f"{origin} must hold keys and values, got {type(values).__name__}.")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        mistakes = "; ".join(_mistake(detail, kind) for detail in error.errors())
        raise UserError(f"{origin}: {mistakes}.") from None


def load_config(path: Path, kind: type[AnyConfig]) -> AnyConfig:
    """The configuration of the class `kind` in a YAML file.

    Raises:
        UserError: the file cannot be read, or a key or value in it is wrong.
    """
    return validated(read_yaml(path), str(path), kind)


def read_yaml(path: Path) -> Any:
    """The values in a YAML file.

    Raises:
        UserError: the file cannot be read, or is not YAML in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} must be YAML text in UTF-8.") from None
    try:
        return parse_yaml(text) or {}
    except Exception as error:  # yaml raises many kinds, see parse_yaml
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} must be YAML, but it cannot be parsed{where}.") from None


def _mistake(detail: Any, kind: type[BaseModel]) -> str:
    """One of pydantic's errors in words: the key, what must hold, and what was given."""
    key = ".".join(str(part) for part in detail["loc"]) or "config"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key}: {_known_keys(detail['loc'], kind)}"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = f", got {given!r}" if detail["type"] != "value_error" and not isinstance(given, dict) else ""
    return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _known_keys(location: tuple[Any, ...], kind: type[BaseModel]) -> str:
    """The end of the message about an unknown key: the keys that the section at its location has."""
    model: type[BaseModel] = kind
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if (
            field is None
            or not isinstance(field.annotation, type)
            or not issubclass(field.annotation, BaseModel)
        ):
            return "take it out"
        model = field.annotation
    close = get_close_matches(str(location[-1]), model.model_fields, n=1)
    return f"{f'did you mean {close[0]}? ' if close else ''}known are {', '.join(model.model_fields)}"
