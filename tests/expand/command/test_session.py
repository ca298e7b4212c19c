"""A search that Python calls, and one that is configured as the paper does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import expand
from search_spaces.x3d import X3DSpace
from tests.expand.commands import ROOT, Xpand


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


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_the_search_as_the_paper_does_it_runs(xpand: Xpand, tmp_path: Path) -> None:
    """From X2D at 112 pixels and from scratch, on a few clips and to the first with two frames."""
    done = xpand(
        *("search", "--config", ROOT / "results" / "paper.yaml", "--data", "synthetic", "--target", "30M"),
        *("--set", "data.synthetic={train: 24, val: 12, size: 64}", "--set", "search.axes=[fast]"),
        *("--epochs", 1, "--out", tmp_path / "run", "--json"),
        cache=tmp_path / "cache",
    )
    assert done.returncode == 0, done.stderr
    start, grown, target = json.loads(done.stdout)["trajectory"]
    x2d = X3DSpace()
    assert (start["frames"], start["size"]) == (1, 112)
    assert start["macs"] == x2d.complexity(x2d.architecture(x2d.start), 12).macs
    assert (grown["candidate"], grown["frames"]) == ("fast", 2)
    assert target["macs"] == start["macs"]  # none lies between
