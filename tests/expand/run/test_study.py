from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from expand.config.data_paths import placed
from expand.jobs.job import Attempt, Failure
from expand.run.study import Run
from expand.search.base import Candidate
from expand.search.replay import Replay
from expand.system.errors import UserError
from expand.system.folders import check_free, free_folder
from tests.expand.runs import CARD, toy_config, toy_setup
from tests.expand.search.test_replay import measurement

REPLAY = Replay(toy_setup())
JOB = REPLAY.rounds[0].jobs[0]
CANDIDATE = REPLAY.rounds[0].round.candidates[0]
PARAMS = {"frames": 1, "width": 4, "size": 32}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", toy_config(), CARD)


def test_a_run_folder_holds_its_configuration_and_its_data(run: Run) -> None:
    again = Run.open(run.folder)
    assert again.config == placed(toy_config())
    assert again.data == CARD
    assert again.results() == {}
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "checkpoints", "config.yaml", "models", "study.db",
    ]  # fmt: skip


def test_results_are_found_again_by_their_job(run: Run) -> None:
    other = replace(JOB, seed=9)
    failure = Failure(reason="the training loss is nan at step 3", traceback="Traceback …")
    run.record(JOB, CANDIDATE, 0, PARAMS, measurement(0.25))
    run.record(other, CANDIDATE, 0, PARAMS, failure)
    assert Run.open(run.folder).results() == {JOB.key: measurement(0.25), other.key: failure}


def test_the_study_is_one_that_optuna_reads(run: Run) -> None:
    attempt = Attempt(host="here", process=7, started=1e9, seconds=3.0)
    run.record(JOB, CANDIDATE, 0, PARAMS, measurement(0.25), (attempt,))
    study = optuna.load_study(study_name="run", storage=f"sqlite:///{run.folder / 'study.db'}")
    (trial,) = study.trials
    assert study.best_trial.params == {"frames": 1.0, "width": 4.0, "size": 32.0}
    assert trial.value == 0.25
    assert trial.duration is not None
    assert trial.duration.total_seconds() == pytest.approx(3.0)
    assert trial.user_attrs["candidate"] == "start"
    assert run.attempts() == {JOB.key: (attempt,)}


@pytest.mark.slow
def test_a_second_driver_is_told_who_holds_the_run(run: Run) -> None:
    with run.locked():
        script = (
            "from pathlib import Path\nfrom expand.run.study import Run\n"
            f"with Run.open(Path({str(run.folder)!r})).locked(): pass"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    folder, host = re.escape(str(run.folder)), re.escape(socket.gethostname())
    pattern = (
        rf"expand.system.errors.UserError: {folder} must have one driver, but process {os.getpid()} "
        rf"on {host}, since [-0-9T:+]+, has it: wait for it, or end it\."
    )
    last = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(pattern, last), last


@pytest.mark.slow
def test_the_lock_of_a_dead_driver_is_taken_over(run: Run) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom expand.run.study import Run\n"
        f"with Run.open(Path({str(run.folder)!r})).locked():\n    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert (run.folder / "driver.json").exists()
    with run.locked():
        pass
    assert not (run.folder / "driver.json").exists()


def test_a_changed_configuration_is_refused_with_the_difference(run: Run) -> None:
    run.check_config()
    path = run.folder / "config.yaml"
    changed = path.read_text().replace("learning_rate: ", "learning_rate: 7").replace("seeds: 1", "seeds: 2")
    path.write_text(changed)
    with pytest.raises(UserError) as caught:
        Run.open(run.folder).check_config()
    was = toy_config().training.learning_rate
    assert str(caught.value) == (
        f"{path} must be as when the run was started, but it differs: search.seeds: 1 → 2; "
        f"training.learning_rate: {was} → {float(f'7{was}')}. Change it back, or start another run with "
        "`xpand search --config`."
    )


def test_where_and_how_fast_may_change(run: Run) -> None:
    path = run.folder / "config.yaml"
    path.write_text(path.read_text().replace("workers: 1", "workers: 2"))
    Run.open(run.folder).check_config()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Run.open(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} must be a run folder with config.yaml and study.db, but it is not: "
        "name one that `xpand search` made."
    )


def test_a_new_run_takes_no_folder_that_is_in_use(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        check_free(run.folder)
    assert str(caught.value) == (
        f"{run.folder} must be free for a new run, but it holds one: go on with it by "
        f"`xpand resume {run.folder}`, or choose another --out."
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(UserError) as caught:
        check_free(tmp_path / "full")
    assert str(caught.value) == (
        f"{tmp_path / 'full'} must be free for a new run, but it is not empty: choose another --out."
    )
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_folder(tmp_path, "a") == tmp_path / "a-3"


def test_a_candidate_without_an_axis_is_recorded_too(run: Run) -> None:
    candidate = Candidate(name="start", axis=None, point=None, macs=1, cost=1)
    run.record(JOB, candidate, 0, {"kind": "text is no factor", "depth": 2}, measurement(0.5))
    (trial,) = run.study.trials
    assert trial.params == {"depth": 2.0}


def test_starts_are_noted_one_after_the_other(run: Run) -> None:
    assert run.starts == ()
    for _ in range(2):
        Run.open(run.folder).note_start()
    first, second = Run.open(run.folder).starts
    assert 1.7e9 < first <= second


def test_a_run_of_another_format_is_refused_with_what_wrote_it(run: Run) -> None:
    run.study.set_user_attr("format", 1)
    run.study.set_user_attr("xpand", "0.0.9")
    with pytest.raises(UserError) as caught:
        _ = Run.open(run.folder).data
    assert str(caught.value) == (
        f"{run.folder} must be a run of format 2, got 1: read it with the xpand that made it (0.0.9), or "
        "search again."
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database at all" * 100, "file is not a database"),
        (b"", "it is empty"),
    ],
)
def test_a_study_that_cannot_be_read_is_named(run: Run, content: bytes, why: str) -> None:
    path = run.folder / "study.db"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        _ = Run.open(run.folder).study
    assert str(caught.value) == (
        f"{path} must hold one whole Optuna study, but it cannot be read: {why}; put back a copy of it, or "
        "start a new run with what is in checkpoints/ (docs/workers.md)."
    )
    assert path.read_bytes() == content


def test_folders_that_a_copy_left_out_are_made_again(run: Run) -> None:
    run.models_folder.rmdir()  # empty, so Git does not keep it
    run.job_folder("any").parent.rmdir()
    run.sweep()
    assert run.models_folder.is_dir()
    assert run.job_folder("any").parent.is_dir()
