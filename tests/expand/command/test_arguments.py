"""What options stand for, as values."""

from __future__ import annotations

import pytest

from expand.command.arguments import worker_options
from expand.config.command_settings import chosen_settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("1E3", 1000.0),
        ("[5e-5, -2e+1]", [5e-5, -20.0]),
        ("{a: 3}", {"a": 3}),
        ("null", None),
        ("true", True),
        ("'5e-5'", "5e-5"),
        ("5e", "5e"),
        ("a=b", "a=b"),
        ("", None),
    ],
)
def test_a_setting_has_a_value_in_yaml(text: str, value: object) -> None:
    (found,) = chosen_settings([f"training.key={text}"]).values()
    assert found == value
    assert type(found) is type(value)


def test_settings_keep_their_order_and_options_come_last() -> None:
    chosen = chosen_settings(["a.b=1", "a={c: 2}", "a.b=3"], {"d": 4, "a": None, "e": False})
    assert list(chosen.items()) == [("a", {"c": 2}), ("a.b", 3), ("d", 4), ("e", False)]


@pytest.mark.parametrize(
    ("workers", "address", "count", "where"),
    [
        (None, None, None, None),
        ("3", None, 3, None),
        ("-1", None, -1, None),
        ("ray", None, "ray", None),
        ("3", "10:6379", "ray", "10:6379"),
        ("many", None, "many", None),
    ],
)
def test_workers_are_a_number_or_ray(
    workers: str | None, address: str | None, count: object, where: str | None
) -> None:
    assert worker_options(workers, address) == {"run.workers": count, "run.ray.address": where}
