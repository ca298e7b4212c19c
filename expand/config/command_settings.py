"""Settings from a command line: the `key.key=value` texts of --set, and options that stand for a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expand.config.yaml_text import parse_yaml
from expand.system.errors import UserError


def chosen_settings(texts: Sequence[str] | None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values by their keys such as `training.epochs`: those of --set in their order, then those of options.

    Args:
        texts: the texts of --set: `key.key=value`, the value in YAML.
        options: values of options by the keys of their settings; a value of None is left out.

    Raises:
        UserError: a text is not `key=value`, or its value is not YAML.
    """
    given = [_parsed(text) for text in texts or ()]
    given += [(key, value) for key, value in (options or {}).items() if value is not None]
    chosen: dict[str, Any] = {}
    for key, value in given:
        chosen.pop(key, None)  # of values for one key the last one counts, and it moves to the end
        chosen[key] = value
    return chosen


def _parsed(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set must be key=value such as training.epochs=5, got {text!r}.")
    try:
        return key, parse_yaml(value)
    except Exception:  # yaml raises many kinds, see parse_yaml
        raise UserError(f"--set {key} must have a value in YAML, got {value!r}.") from None
