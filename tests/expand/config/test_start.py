"""The setting `search.start`, in its three forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.config.base import load_config, to_yaml
from expand.config.command_settings import chosen_settings
from expand.config.options import build_config
from expand.config.search import Config, SearchConfig, from_values
from expand.config.start import StartConfig
from expand.system.errors import UserError


@pytest.mark.parametrize(
    ("given", "meant", "words"),
    [
        ("x3d-xs", {"network": "x3d-xs"}, "x3d-xs"),
        (Path("runs/a.yaml"), {"network": "runs/a.yaml"}, "runs/a.yaml"),
        ({"depth": 2.2, "width": 2}, {"factors": {"depth": 2.2, "width": 2}}, "depth 2.2, width 2"),
        (
            {"network": "a.yaml", "factors": {"depth": 2}, "checksum": "ab"},
            {"network": "a.yaml", "factors": {"depth": 2}, "checksum": "ab"},
            "a.yaml with its weights",
        ),
    ],
)
def test_a_start_has_a_short_form(given: Any, meant: dict[str, Any], words: str) -> None:
    start = SearchConfig(start=given).start
    assert start == StartConfig(**meant)
    assert start.words == words


def test_yaml_out_is_yaml_in(tmp_path: Path) -> None:
    config = from_values({"search": {"start": {"depth": 2.2}}}, "test")
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path, Config) == config


def test_factors_are_set_one_by_one_also_where_a_file_says_null(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(Config()))
    texts = ["search.start.depth=2.2", "search.start.width=1.5"]
    config = build_config(path, settings=chosen_settings(texts))
    assert config.search.start == StartConfig(factors={"depth": 2.2, "width": 1.5})


def test_where_a_model_file_lies_decides_nothing() -> None:
    here, there = (
        from_values({"search": {"start": {"network": path, "factors": {"depth": 2}}}}, "test")
        for path in ("a.yaml", "b.yaml")
    )
    assert here.deciding() == there.deciding()
    assert here.deciding()["search"]["start"] == {"factors": {"depth": 2}, "checksum": None}
    assert Config().deciding()["search"]["start"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "must be a published network, a model file, or factors such as {depth: 2.2}, got 5"),
        ({}, "must be a published network, a model file, or factors such as {depth: 2.2}, got neither"),
        ("", "must be a published network, a model file, or factors such as {depth: 2.2}, got neither"),
    ],
)
def test_what_is_no_start_is_one_line(given: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_values({"search": {"start": given}}, "mine.yaml")
    assert str(caught.value) == f"mine.yaml: search.start: {message}."


def test_a_factor_inside_of_a_network_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        build_config(None, settings={"search.start": "x3d-xs", "search.start.depth": 2})
    assert str(caught.value) == ("setting search.start.depth: start must hold keys and values, got 'x3d-xs'.")
