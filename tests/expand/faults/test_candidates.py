"""Candidates that go wrong, in every kind of worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.config.search import Config
from expand.run import driver
from expand.run.record import read_run
from tests.expand.faults.spaces import NAME
from tests.expand.runs import run_search, toy_config

KINDS = [1, pytest.param(2, marks=pytest.mark.slow), pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture
def on(cache: Path, request: pytest.FixtureRequest) -> Any:
    """A config of a space with these faults, for workers of a kind."""

    def config(kind: object, *faults: str, **run: object) -> Config:
        options = {"workers": kind, **run}
        if kind == "ray":
            options["ray"] = {"address": request.getfixturevalue("cluster").address}
        space = {"name": NAME, "settings": {"faults": list(faults)}}
        return toy_config(cache, space=space, search={"targets": [1_000]}, run=options)

    return config


@pytest.mark.fault(
    "NaN, infinite loss, exception, memory", "that candidate fails with the reason, in every worker"
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_candidate_does_wrong_fails_that_candidate(tmp_path: Path, on: Any, kind: object) -> None:
    faults = ("nan", "inf", "raise", "device-memory", "host-memory")
    run, trajectory = run_search(tmp_path / "run", on(kind, *faults))
    rows = {row.network.candidate: row for row in read_run(run.folder).rounds if row.round == 1}
    assert trajectory.states[1].candidate.name == "frames"
    reasons = {name: row.reason for name, row in rows.items() if row.reason is not None}
    assert reasons.pop("host-memory").startswith("out of memory: [enforce fail at alloc_cpu.cpp")
    assert reasons == {
        "nan": "the training loss is nan at step 0, 0 clips in",
        "inf": reasons["inf"],
        "raise": "RuntimeError: this network is broken",
        "device-memory": "out of memory: a device without memory",
    }
    assert reasons["inf"].startswith("the training loss is ")
    tracebacks = [result.traceback for result in run.results().values() if hasattr(result, "traceback")]
    assert sum("Traceback" in trace for trace in tracebacks) == 3
    logs = [path.read_text() for path in run.folder.glob("checkpoints/*/log.txt")]
    assert sum("failed: " in log for log in logs) == len(faults)


@pytest.mark.fault("a candidate that hangs", "ended after a limit, failed; the search goes on")
@pytest.mark.parametrize(("kind", "slack"), [(1, 0.5), pytest.param(2, 3, marks=pytest.mark.slow),
                                             pytest.param("ray", 2, marks=pytest.mark.slow)])  # fmt: skip
def test_a_candidate_that_hangs_is_ended(
    tmp_path: Path, on: Any, kind: object, slack: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SLACK", slack)
    run, trajectory = run_search(tmp_path / "run", on(kind, "hang", time_limit=2))
    assert [state.candidate.name for state in trajectory.states] == ["start", "frames"]
    (row,) = [row for row in read_run(run.folder).rounds if row.network.candidate == "hang"]
    assert row.reason is not None
    assert row.reason.endswith(", far longer than expected (run.time_limit)"), row.reason
    assert row.reason.startswith("it had not ended after ")


@pytest.mark.slow
@pytest.mark.fault("a network that crashes its worker (SIGSEGV)", "tried four times, failed with the reason")
@pytest.mark.parametrize("kind", [2, "ray"])
def test_a_network_that_crashes_its_worker_fails_after_three_more_attempts(
    tmp_path: Path, on: Any, kind: object
) -> None:
    run, trajectory = run_search(tmp_path / "run", on(kind, "segfault"))
    assert [state.candidate.name for state in trajectory.states] == ["start", "frames"]
    record = read_run(run.folder)
    (row,) = [row for row in record.rounds if row.network.candidate == "segfault"]
    how = "the worker was ended by SIGSEGV" if kind == 2 else "the Ray worker was lost (WorkerCrashedError)"
    assert row.reason == f"{how}, 4 times"
    states = [attempt.state for attempt in record.attempts if attempt.candidate == "segfault"]
    assert states == ["cut off", "cut off", "cut off", "failed"]
    log = (run.folder / "log.txt").read_text()
    for number in (1, 2, 3):
        assert f"{how}; trying again ({number} of 3)" in log
