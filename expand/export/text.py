"""Writes text, Python and YAML into exported files, with names from data escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from textwrap import wrap

import yaml

_WIDTH = 100  # characters in a line of a comment or of Python
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def one_line(text: object) -> str:
    """Replace line ends and characters that can't be printed by single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def comment(paragraphs: Iterable[str]) -> str:
    """Format paragraphs as comment lines of Python or YAML; paragraphs that are indented are not wrapped."""
    lines: list[str] = []
    for paragraph in paragraphs:
        text = one_line(paragraph)
        if paragraph.startswith("    "):
            lines.append(f"    {text}")
        else:
            lines += wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def escaped(text: object) -> str:
    """Escape text so that Markdown shows it literally, in a paragraph or a cell of a table."""
    return _MARKS.sub(r"\\\1", one_line(text))


def python(values: object, before: int = 0, indent: int = 0) -> str:
    """Format nested mappings, lists, tuples and plain values as Python code, with `dict(…)` for mappings.

    Args:
        values: the values; keys of mappings must be identifiers.
        before: number of characters before the code in its line.
        indent: indentation of that line.
    """
    if isinstance(values, Mapping):
        opening, closing, items = "dict(", ")", [(f"{key}=", each) for key, each in values.items()]
    elif isinstance(values, list):
        opening, closing, items = "[", "]", [("", each) for each in values]
    elif isinstance(values, str):
        return json.dumps(values, ensure_ascii=False)
    else:
        return repr(values)
    whole = opening + ", ".join(name + python(each) for name, each in items) + closing
    if before + len(whole) <= _WIDTH and "\n" not in whole:
        return whole
    inner = indent + 4
    lines = [" " * inner + name + python(each, inner + len(name) + 1, inner) + "," for name, each in items]
    return "\n".join([opening, *lines, " " * indent + closing])


def assigned(name: str, values: object) -> str:
    """Format an assignment as Python code."""
    return f"{name} = {python(values, len(name) + 3)}\n"


def to_yaml(values: Mapping[str, object]) -> str:
    """Format values as YAML with each list on one line, as in SlowFast's configs."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


class _Dumper(yaml.SafeDumper):
    pass


def _in_one_line(dumper: yaml.SafeDumper, values: list[object]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(list, _in_one_line)
