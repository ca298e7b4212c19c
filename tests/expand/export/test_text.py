from __future__ import annotations

import ast
from typing import Any

import pytest
import yaml

from expand.export.text import assigned, comment, escaped, one_line, python, to_yaml

NASTY = "a\nb\r\u2028c\x00\x1b[31m|`*_<b>[x](y)\\"


def test_a_line_stays_one() -> None:
    assert one_line(" a\nb\r\u2028c\x00\td ") == "a b c d"


def test_every_line_of_a_comment_is_one() -> None:
    text = comment([NASTY * 20, "", f"    {NASTY}"])
    assert all(line.startswith("#") for line in text.splitlines())
    assert "#     a b c" in text


def test_markdown_shows_text_as_it_is() -> None:
    assert escaped("a|b `c` *d* _e_\n<f> [g](h)") == r"a\|b \`c\` \*d\* \_e\_ \<f\> \[g\]\(h\)"


@pytest.mark.parametrize(
    "values",
    [
        {"a": 1, "b": [1.5, "x'\"\n"], "c": {"d": None, "e": (1, True)}},
        [{"name": "n" * 60, "other": "o" * 60}, [], {}],
    ],
)
def test_python_is_read_as_what_it_was(values: Any) -> None:
    found = eval(python(values), {"dict": dict})
    assert found == values
    ast.parse(assigned("name", values))


def test_long_python_is_broken_into_lines() -> None:
    lines = assigned("name", {"a": {"b": "x" * 70, "c": 1}, "d": 2}).splitlines()
    assert lines == ["name = dict(", '    a=dict(b="' + "x" * 70 + '", c=1),', "    d=2,", ")"]


def test_lists_are_one_line_of_yaml() -> None:
    text = to_yaml({"a": {"b": [1, 2]}, "c": 5e-5})
    assert text == "a:\n  b: [1, 2]\nc: 5.0e-05\n"
    assert yaml.safe_load(text) == {"a": {"b": [1, 2]}, "c": 5e-5}
