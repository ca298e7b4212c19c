"""kill -9 of the driver, as often as it likes to happen."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from expand.config.base import to_yaml
from expand.run.study import Run
from tests.expand.faults.processes import Forked, checksums, lasting, wait_for
from tests.expand.runs import toy_config

pytestmark = pytest.mark.slow

KILLS = 100


@pytest.mark.fault("kill -9 of the driver, 100 times", "nothing finished is trained again; equal bytes")
def test_a_search_that_is_killed_100_times_is_the_search_that_was_not(tmp_path: Path, cache: Path) -> None:
    config, whole, run = tmp_path / "mine.yaml", tmp_path / "whole", tmp_path / "killed"
    search = {"targets": [3_000, 30_000], "step": 1.6}
    config.write_text(to_yaml(toy_config(cache, search=search, training={"epochs": 60, "dropout": 0.2})))
    Forked("search", "--config", config, "--out", whole, output=tmp_path / "first").said()

    draw, output = random.Random(0), tmp_path / "output"
    kills, first_results = 0, dict[str, int]()
    while not (run / "report.html").exists():
        verb = ("resume", run) if run.exists() else ("search", "--config", config, "--out", run)
        process = Forked(*verb, output=output)
        code = process.wait(draw.uniform(0.1, 0.9) if kills < KILLS else 120)
        if code is None:
            process.kill()
            kills += 1
        elif code != 0:
            pytest.fail(output.read_text())
        for path in run.glob("checkpoints/*/result.json"):
            made = path.stat().st_mtime_ns
            assert first_results.setdefault(path.parent.name, made) == made, "it was trained again"
    assert kills >= KILLS
    assert lasting(run) == lasting(whole)
    assert checksums(run) == checksums(whole)
    jobs = Counter(trial.user_attrs["job"] for trial in Run.open(run).study.trials)
    assert set(jobs.values()) == {1}, "each is recorded once"
    assert not list(run.glob("**/.*.partial"))


@pytest.mark.fault("kill -9 of the driver of two workers", "nothing finished is trained again; equal bytes")
def test_so_is_one_with_two_workers(tmp_path: Path, cache: Path) -> None:
    config, whole, run = tmp_path / "mine.yaml", tmp_path / "whole", tmp_path / "killed"
    search = {"targets": [3_000, 6_000], "step": 1.6}
    config.write_text(to_yaml(toy_config(cache, search=search, run={"workers": 2})))
    Forked("search", "--config", config, "--out", whole, output=tmp_path / "first").said()
    draw, output = random.Random(1), tmp_path / "output"
    process = Forked("search", "--config", config, "--out", run, output=output)
    for _ in range(8):
        wait_for(lambda: (run / "driver.json").exists(), 60)
        time.sleep(draw.uniform(0, 2))
        process.kill()
        process = Forked("resume", run, output=output)
    assert process.said()
    assert checksums(run) == checksums(whole)
    assert lasting(run) == lasting(whole)
