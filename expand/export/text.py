"""Text in exported files: names come from data, so nothing in them may end a comment or mark up a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from textwrap import wrap

import yaml

_WIDTH = 100  # of a comment, and of a line of Python
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def one_line(text: object) -> str:
    """Words with single spaces, and nothing that cannot be printed: no line ends in it."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def comment(paragraphs: Iterable[str]) -> str:
    """Comment lines of Python or YAML; an empty paragraph is an empty line, an indented one is not broken."""
    lines: list[str] = []
    for paragraph in paragraphs:
        text = one_line(paragraph)
        if paragraph.startswith("    "):
            lines.append(f"    {text}")
        else:
            lines += wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def escaped(text: object) -> str:
    """Text that Markdown shows as it is, in a paragraph or a cell of a table."""
    return _MARKS.sub(r"\\\1", one_line(text))


def python(values: object, before: int = 0, indent: int = 0) -> str:
    """Mappings, lists, tuples and plain values as Python, `dict(…)` for mappings, a line each where long.

    Args:
        values: keys are names.
        before: characters that stand before it in its line.
        indent: of the line that it ends.
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
    """A line of Python, or a few, that gives a name its value."""
    return f"{name} = {python(values, len(name) + 3)}\n"


def to_yaml(values: Mapping[str, object]) -> str:
    """YAML with each list in one line, as SlowFast's configs have them."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


class _Dumper(yaml.SafeDumper):
    pass


def _in_one_line(dumper: yaml.SafeDumper, values: list[object]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(list, _in_one_line)
