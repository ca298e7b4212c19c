"""kill -9 of the driver, as often as it likes to happen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from expand.config.base import to_yaml
from expand.run.study import Run
from tests.expand.faults.processes import Forked, checksums, lasting
from tests.expand.runs import toy_config

pytestmark = pytest.mark.slow


@pytest.mark.fault("kill -9 of the driver, 20 times", "nothing finished is trained again; equal bytes")
def test_a_search_that_is_killed_20_times_is_the_search_that_was_not(tmp_path: Path, cache: Path) -> None:
    config, whole, run = tmp_path / "mine.yaml", tmp_path / "whole", tmp_path / "killed"
    search = {"targets": [2_000, 9_000], "step": 1.6}
    config.write_text(to_yaml(toy_config(cache, search=search, training={"epochs": 20, "dropout": 0.2})))
    Forked("search", "--config", config, "--out", whole, output=tmp_path / "first").said()
    first_results = dict[str, int]()

    def nothing_is_trained_again() -> None:
        for path in run.glob("checkpoints/*/result.json"):
            made = path.stat().st_mtime_ns
            assert first_results.setdefault(path.parent.name, made) == made, "it was trained again"

    kill_often(20, config, run, tmp_path / "output", nothing_is_trained_again)
    assert lasting(run) == lasting(whole)
    assert checksums(run) == checksums(whole)
    jobs = Counter(trial.user_attrs["job"] for trial in Run.open(run).study.trials)
    assert set(jobs.values()) == {1}, "each is recorded once"
    assert not list(run.glob("**/.*.partial"))


@pytest.mark.fault("kill -9 of the driver of two workers", "nothing finished is trained again; equal bytes")
def test_so_is_one_with_two_workers(tmp_path: Path, cache: Path) -> None:
    config, whole, run = tmp_path / "mine.yaml", tmp_path / "whole", tmp_path / "killed"
    search = {"targets": [2_000], "step": 1.6}
    config.write_text(to_yaml(toy_config(cache, search=search, run={"workers": 2})))
    Forked("search", "--config", config, "--out", whole, output=tmp_path / "first").said()
    kill_often(3, config, run, tmp_path / "output", lambda: None)
    assert checksums(run) == checksums(whole)
    assert lasting(run) == lasting(whole)


def kill_often(times: int, config: Path, run: Path, output: Path, check: Callable[[], None]) -> None:
    """Search to the end, but kill the driver so many times, all over the search.

    Each driver lives until it was seen to change the run a few times, some not so long; a search makes many
    more changes than that, on any machine. Between two changes, some live a little longer than others.
    """
    draw = random.Random(times)
    for _ in range(times):
        process, changes = _driver(config, run, output), draw.randint(0, 6)
        before = _state(run)
        while changes and process.wait(0.005) is None:
            if (now := _state(run)) != before:
                before, changes = now, changes - 1
        assert process.wait(draw.uniform(0, 0.03)) is None, output.read_text()
        process.kill()
        check()
    assert not (run / "report.html").exists()
    _driver(config, run, output).said()
    check()


def _driver(config: Path, run: Path, output: Path) -> Forked:
    verb = ("resume", run) if run.exists() else ("search", "--config", config, "--out", run)
    return Forked(*verb, output=output)


def _state(run: Path) -> dict[Path, int]:
    """When each file of a run that is there now was written."""
    found = {}
    for path in run.rglob("*"):
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:  # gone meanwhile
            continue
    return found
