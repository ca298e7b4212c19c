"""What options stand for, as values."""

from __future__ import annotations

import pytest

from expand.command.arguments import changed_settings, worker_options
from expand.config.command_settings import chosen_settings
from expand.config.search import SearchConfig
from expand.config.training import GROWN_EPOCHS, SCRATCH_EPOCHS
from expand.system.errors import UserError
from tests.expand.commands import Xpand


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


def test_what_may_change_when_a_run_goes_on() -> None:
    assert changed_settings(["run.time_limit=20", "data.cache.limit_gb=1"], "2", None) == {
        "run.time_limit": 20,
        "data.cache.limit_gb": 1,
        "run.workers": 2,
    }


@pytest.mark.parametrize("text", ["search.seeds=3", "data.flip=false", "data.cache=null", "run=null"])
def test_what_decides_may_not_change(text: str) -> None:
    with pytest.raises(UserError) as caught:
        changed_settings([text], None, None)
    assert str(caught.value) == (
        "--set must name a setting of `run` or `data.cache`, which may change when a run goes on, got "
        f"{text.partition('=')[0]}: leave it out, or start another search."
    )


def test_defaults_in_help_are_those_of_the_settings(xpand: Xpand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "600")
    search = SearchConfig()
    assert search.seeds == (1, 1)
    assert "until the decision is sure; by default 1, or as the run has." in xpand("search", "--help").stdout
    epochs = f"by default {GROWN_EPOCHS:g} from its parent's weights, {SCRATCH_EPOCHS:g} from random ones."
    assert epochs in xpand("search", "--help").stdout
    assert f"by default as the run has, or {search.confidence:g}." in xpand("extend", "--help").stdout
