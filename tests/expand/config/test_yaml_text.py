from __future__ import annotations

import pytest

from expand.config.yaml_text import dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("+1.e3", 1000.0),
        ("2E+2", 200.0),
        ("-0.5e1", -5.0),
        ("5.0e-05", 5e-5),
        ("12", 12),
        ("e5", "e5"),
        ("5e5x", "5e5x"),
        ("1e5.2", "1e5.2"),
        ("a: {b: [1e1]}", {"a": {"b": [10.0]}}),
    ],
)
def test_numbers_with_a_power_are_numbers(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize(
    "value",
    ["5e-5", "1e5", "1.e3", 5e-5, 1e22, 1e300, 0.1, 3, "3", "null", None, True, ["1e1"], {"1e2": "x"}],
)
def test_what_is_written_is_read_again(value: object) -> None:
    again = parse_yaml(dump_yaml({"classes": [value]}))
    assert again == {"classes": [value]}
    assert type(again["classes"][0]) is type(value)
