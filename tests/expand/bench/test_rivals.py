"""Strategies for real: each searches with as much, what it finds is trained in full, and tested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from expand.bench import rivals
from expand.bench.rivals import Displays, Rival, measure, read_rivals, searching
from expand.config.search import Config
from expand.system.errors import RunFailed, UserError
from tests.expand.commands import Xpand
from tests.expand.runs import Quiet

STRATEGIES = ["expansion", "random", "hand-scaled"]
SPACE = {
    "settings": {
        "size": 32,
        "stem_width": 8,
        "head_width": 16,
        "widths": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
    }
}
CLIPS = {"train": 24, "val": 12, "test": 12, "size": 32}


class QuietTraining:
    """A TrainingDisplay that shows nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@contextmanager
def quiet() -> Iterator[Quiet]:
    yield Quiet()


@contextmanager
def quiet_training() -> Iterator[Any]:
    yield QuietTraining()


SHOW = Displays(search=quiet, training=quiet_training)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "space": SPACE,
            "search": {"targets": ["400K"], "budget": 8e7},
            "training": {"init": "scratch", "epochs": 1},
            "data": {"format": "synthetic", "synthetic": CLIPS, "cache": {"folder": str(tmp_path / "cache")}},
            "run": {"workers": 1, "threads": 1, "device": "cpu"},
        }
    )


@pytest.mark.slow
def test_each_strategy_searches_and_what_it_finds_is_tested(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ["random", "hand-scaled"]

    def broken(*_: Any) -> Any:
        raise RunFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(rivals, "run_test", broken)
        with pytest.raises(RunFailed):
            measure(config, chosen, 1, 1, tmp_path / "out", SHOW)
    assert read_rivals(tmp_path / "out" / rivals.FILE) == []
    found = measure(config, chosen, 1, 1, tmp_path / "out", SHOW)
    assert [one.strategy for one in found] == chosen
    assert all(0 < one.spent <= 8e7 for one in found)
    assert all(one.macs <= 400_000 for one in found)
    assert {one.videos for one in found} == {12}
    assert read_rivals(tmp_path / "out" / rivals.FILE) == found
    assert measure(config, chosen, 1, 1, tmp_path / "out", SHOW) == found


def test_what_is_not_given_follows_from_the_strategy() -> None:
    given = Config.model_validate({"search": {"targets": ["45M"]}})
    built = {name: searching(given, name, 2) for name in STRATEGIES}
    assert [one.training.epochs for one in built.values()] == [4, 10, 10]
    assert [one.training.init for one in built.values()] == [None, "scratch", "scratch"]
    assert [one.search.seeds for one in built.values()] == [(2, 8), (1, 1), (1, 1)]
    assert {one.search.seed for one in built.values()} == {2_000}
    longer = given.model_copy(update={"training": given.training.model_copy(update={"epochs": 6.0})})
    assert searching(longer, "random", 0).training.epochs == 6


def test_without_test_videos_nothing_is_trained(tmp_path: Path, config: Config) -> None:
    own = config.model_copy(update={"data": config.data.model_copy(update={"format": "list"})})
    with pytest.raises(UserError) as error:
        measure(own, STRATEGIES, 1, 1, tmp_path / "out", SHOW)
    assert str(error.value) == (
        "there must be test videos that no search sees, but data.test names none: give a list, such as "
        "--set data.test=test.txt."
    )
    assert not (tmp_path / "out").exists()


def rival(strategy: str, number: int, test: float) -> Rival:
    return Rival(
        strategy=strategy,
        number=number,
        spent=1e9,
        trainings=4,
        network="2×34, 40²",
        macs=20_000_000,
        score=0.5,
        val=0.9,
        test=test,
        mean_class=0.8,
        videos=100,
        search_seconds=60.0,
        seconds=600.0,
    )


def test_what_is_done_is_shown_without_doing_it_again(xpand: Xpand, tmp_path: Path) -> None:
    done = [rival("random", 0, 0.90), rival("random", 1, 0.94), rival("expansion", 0, 0.95)]
    done.append(rival("expansion", 1, 0.97))
    (tmp_path / rivals.FILE).write_text(json.dumps([asdict(one) for one in done]))
    shown = xpand(
        *("bench", "rivals", "--data", "synthetic", "--target", "4M", "--searches", 2, "--out", tmp_path),
        *("--strategy", "expansion", "--strategy", "random"),
    )
    assert shown.returncode == 0, shown.stderr
    _, first, second = shown.stdout.splitlines()
    assert first.split() == ["random", "2", "1", "G", "90.0%", "92.0%", "2.0", "80.0%"]
    assert second.split() == ["expansion", "2", "1", "G", "90.0%", "96.0%", "1.0", "80.0%"]
