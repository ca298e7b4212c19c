"""The same search by every kind of workers: what is decided depends on none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.config.search import Config
from expand.jobs.job import Measurement
from expand.run.frames import columns
from expand.run.record import read_run
from expand.run.study import Run
from tests.expand.faults.processes import checksums, lasting
from tests.expand.runs import Quiet, run_search, toy_config


def config(cache: Path, workers: object, address: str = "auto") -> Config:
    return toy_config(
        cache,
        search={"targets": [1_500, 3_000], "seeds": 2, "confirm": 1},
        data={"synthetic": {"train": 24, "val": 12, "test": 12, "size": 32}},
        training={"epochs": 2, "dropout": 0.2},
        run={"workers": workers, "ray": {"address": address}},
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Run, Quiet]:
    view = Quiet()
    run, _ = run_search(tmp_path_factory.mktemp("alone") / "run", config(cache, 1), view)
    return run, view


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4, "ray"])
def test_any_workers_decide_and_leave_the_same(
    tmp_path: Path, cache: Path, alone: tuple[Run, Quiet], workers: Any, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("cluster").address if workers == "ray" else "auto"
    run, _ = run_search(tmp_path / "run", config(cache, workers, address))
    assert checksums(run.folder) == checksums(alone[0].folder)
    assert lasting(run.folder) == lasting(alone[0].folder)
    assert trajectory(run) == trajectory(alone[0])


def trajectory(run: Run) -> list[dict[str, Any]]:
    rows = columns(read_run(run.folder), "trajectory")
    assert "test" in rows[-1]
    return [{key: value for key, value in row.items() if key not in Measurement.VARYING} for row in rows]


def test_the_longest_starts_first_and_nothing_is_trained_twice(alone: tuple[Run, Quiet]) -> None:
    run, view = alone
    assert len(view.trained) == len(set(view.trained)) == len(run.results())
    record = read_run(run.folder)
    macs = {(row.round, row.network.candidate): row.network.macs for row in record.rounds}
    for number in record.numbers:
        started = [macs[number, row.candidate] for row in record.attempts if row.round == number]
        assert started == sorted(started, reverse=True)
        seeds = 1 if number == record.numbers[-1] else 2  # at last, what was found with a fresh one
        assert len(started) == seeds * sum(row.round == number for row in record.rounds), "seeds are jobs"
    later = [row for row in record.rounds if row.round > 0]
    assert not {row.network.macs for row in later} & {macs[0, "start"]}, "the base is not trained again"
