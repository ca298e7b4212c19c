"""A search that Python calls."""

from __future__ import annotations

from pathlib import Path

import pytest

import expand


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_settings_of_a_search_are_values(tmp_path: Path, cache: Path) -> None:
    run = expand.run_search(
        targets=[900],
        settings={
            "space": {"name": "tests.expand.toy:ToySpace"},
            "data.synthetic": {"train": 24, "val": 12, "size": 32},
            "data.cache.folder": cache,
            "training.epochs": 1,
            "training.learning_rate": 5e-5,
            "run.workers": 1,
        },
        out=tmp_path / "run",
    )
    assert run.finished
    assert run.config.data.cache.folder == cache
    assert run.config.training.learning_rate == 5e-5
