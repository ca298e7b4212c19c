"""Settings that a command line names: `key.key=value` texts, and options that stand for settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expand.config.yaml_text import parse_yaml
from expand.system.errors import UserError


def chosen_settings(texts: Sequence[str] | None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of --set by their keys, in their order, then those of options that stand for settings.

    Args:
        texts: as `key.key=value`, the value in YAML.
        options: by the keys of their settings; None: not given.

    Raises:
        UserError: a text that is none of these.
    """
    given = [_parsed(text) for text in texts or ()]
    given += [(key, value) for key, value in (options or {}).items() if value is not None]
    chosen: dict[str, Any] = {}
    for key, value in given:
        chosen.pop(key, None)  # the last one counts, and after what went before it
        chosen[key] = value
    return chosen


def _parsed(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set must be key=value such as training.epochs=5, got {text!r}.")
    try:
        return key, parse_yaml(value)
    except Exception:  # of many kinds
        raise UserError(f"--set {key} must have a value in YAML, got {value!r}.") from None
