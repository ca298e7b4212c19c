"""How far a run is, from another process, while it is driven."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path

import optuna
import pytest

from expand.config.base import to_yaml
from expand.jobs.folder import close_attempts
from expand.jobs.job import Attempt, TrainingProgress
from expand.run.status import AtWork, Status, read_status
from expand.run.study import Run
from expand.search.replay import Replay
from expand.search.setup import Setup
from tests.expand.commands import Xpand
from tests.expand.faults.processes import Forked, wait_for
from tests.expand.faults.spaces import NAME
from tests.expand.run.test_dashboard import ask
from tests.expand.runs import CARD, toy_config


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", toy_config(search={"targets": [1_000]}), CARD)


def test_a_run_that_nobody_drives_says_how_to_go_on(run: Run, xpand: Xpand) -> None:
    done = xpand("status", run.folder)
    assert done.stdout.splitlines()[:5] == [
        f"run       {run.folder}",
        "search    expansion, targets in MACs, scored by top-1",
        "state     in round 0, 1 candidate to come",
        "trainings 0 done, 0 failed, 0 s in all",
        f"driver    none: go on with `xpand resume {run.folder}`",
    ]
    assert json.loads(xpand("status", run.folder, "--json").stdout) | {"rounds": None} == {
        "finished": False,
        "start": None,
        "problem": None,
        "stopped": None,
        "driver": None,
        "at_work": [],
        "failures": [],
        "cut_off": 0,
        "seconds_left": None,
        "rounds": None,
        "trajectory": [],
    }


def test_what_workers_do_is_told_while_the_run_is_driven(run: Run, xpand: Xpand) -> None:
    setup = Setup.of(run.config, run.data)
    (job,) = Replay(setup).rounds[0].jobs
    folder = run.job_folder(job)
    folder.mkdir()
    now = time.time()
    attempts = [Attempt(host="here", process=11, started=now - 90, seconds=30.0),
                Attempt(host="here", process=12, started=now - 42, seconds=None)]  # fmt: skip
    (folder / "attempts.json").write_text(
        json.dumps([{name: getattr(one, name) for name in Attempt.__slots__} for one in attempts])
    )
    progress = TrainingProgress(step=1, clips=6, total=24, loss=1.0)
    (folder / "progress.json").write_text(json.dumps(asdict(progress)))
    with run.locked():
        run.note_start(workers=2, described="2 workers on cpu", fixed=1e-3, per_mac=1e-9)
        found = read_status(run.folder)
        shown = xpand("status", run.folder).stdout.splitlines()
    (at_work,) = found.at_work
    assert at_work == AtWork(
        worker="12 on here", round=0, candidate="start", seed=0, attempt=2, epoch=0.25, epochs=1.0,
        seconds=at_work.seconds,
    )  # fmt: skip
    assert 42 <= at_work.seconds < 60
    assert found.repeated == 1
    assert found.seconds_left is not None
    assert found.seconds_left > 0
    assert shown[3] == "trainings 0 done, 0 failed, 0 s in all, 1 attempt cut off"
    assert shown[4].startswith(f"driver    process {os.getpid()} on {socket.gethostname()}, since 20")
    assert shown[4].endswith("; 2 workers on cpu")
    assert shown[5].startswith("left      about ")
    assert shown[6].split() == ["worker", "round", "candidate", "seed", "epoch", "time", "attempt"]
    assert shown[7].split()[:7] == ["12", "on", "here", "0", "start", "0", "0.2/1"]


def test_a_clock_that_was_set_back_makes_no_time_negative(run: Run) -> None:
    (job,) = Replay(Setup.of(run.config, run.data)).rounds[0].jobs
    folder = run.job_folder(job)
    folder.mkdir()
    later = {"host": "here", "process": 1, "started": time.time() + 7_200, "seconds": None}
    (folder / "attempts.json").write_text(json.dumps([later]))
    with run.locked():
        (at_work,) = read_status(run.folder).at_work
    assert at_work.seconds == 0
    (closed,) = close_attempts(folder)
    assert closed.seconds == 0


@pytest.mark.slow
def test_a_run_can_be_watched_by_all_while_it_is_driven(tmp_path: Path, cache: Path) -> None:
    """Status and the dashboard read the study all the time; neither they nor the driver fail."""
    from optuna_dashboard import wsgi

    config, folder = tmp_path / "mine.yaml", tmp_path / "run"
    space = {"name": NAME, "settings": {"pause": 0.1, "faults": ["wide"]}}
    training = {"epochs": 4, "batch_size": 12}
    search = {"targets": [1_000], "seeds": 2}
    values = toy_config(cache, space=space, search=search, training=training, run={"workers": 2})
    config.write_text(to_yaml(values))
    process = Forked("search", "--config", config, "--out", folder, output=tmp_path / "output")
    wait_for(lambda: (folder / "driver.json").exists(), 60)
    app = wsgi(optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}"))
    seen: list[Status] = []
    shown: list[int] = []
    while process.running:
        seen.append(read_status(folder))
        (summary,) = ask(app, "/api/studies")["study_summaries"]
        shown.append(len(ask(app, f"/api/studies/{summary['study_id']}")["trials"]))
        time.sleep(0.05)  # for the search to go on
    assert process.said()
    assert len(seen) > 5
    assert {at_work.candidate for status in seen for at_work in status.at_work} >= {"frames", "wide"}
    assert max(len(status.at_work) for status in seen) == 2, "two workers at a time"
    assert shown == sorted(shown)
    assert len(read_status(folder).record.trials) >= shown[-1] > 2
