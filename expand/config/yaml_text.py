"""Parses and writes YAML, with numbers such as 5e-5, which YAML 1.1 takes for text.

Parsing untrusted text is safe: it gives mappings, lists, text, numbers, dates, true, false and null only.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_FLOAT = "tag:yaml.org,2002:float"
_POWER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+\Z")  # floats with an exponent in YAML 1.2


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):  # quotes text that the loader would read as a number
    pass


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(_FLOAT, _POWER, list("-+0123456789"))


def parse_yaml(text: str) -> Any:
    """The values in a YAML text.

    Raises:
        Exception: the text is not YAML. Besides its own errors yaml raises others, such as ValueError for
            the date 2026-02-30.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def dump_yaml(values: object) -> str:
    """Values as a YAML text with keys in their order; `parse_yaml` is the inverse."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
