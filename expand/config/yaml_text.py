"""Values as YAML and back, with numbers such as 5e-5, which are text in YAML 1.1.

Safe in what it makes: nothing but mappings, lists, text, numbers, dates, true, false and null.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_FLOAT = "tag:yaml.org,2002:float"
_POWER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+\Z")  # as YAML 1.2 has it


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):  # puts quotes around text that the loader would take for a number
    pass


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(_FLOAT, _POWER, list("-+0123456789"))


def parse_yaml(text: str) -> Any:
    """The values in a text.

    Raises:
        Exception: it is no YAML. Of many kinds: yaml also fails on dates that there are not, and the like.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def dump_yaml(values: object) -> str:
    """Values as text, keys in their order; `parse_yaml` gives them back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
