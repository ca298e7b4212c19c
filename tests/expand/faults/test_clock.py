"""A clock that is set back and forth all the time, for every process of a search."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from expand.config.base import to_yaml
from expand.plots import KINDS
from expand.run.record import read_run
from tests.expand.faults.processes import ROOT, checksums
from tests.expand.faults.spaces import NAME
from tests.expand.runs import run_search, toy_config

# The commands, one after another in one process.
COMMANDS = """
import json, sys
from expand.command.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        assert not end.code, end
"""
SOURCE = Path(__file__).with_name("clock.c")


@pytest.fixture
def leaping(tmp_path: Path) -> dict[str, str]:
    """The environment of processes whose clock of the day leaps by hours, every second."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, and Linux")
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return os.environ | {"LD_PRELOAD": str(library)}


@pytest.mark.slow
@pytest.mark.fault("a clock set back, a leap in time", "durations stay positive, no decision changes")
def test_a_clock_that_leaps_changes_nothing(tmp_path: Path, cache: Path, leaping: dict[str, str]) -> None:
    space = {"name": NAME, "settings": {"pause": 0.05, "faults": ["wide"]}}
    training = {"epochs": 12, "batch_size": 12}
    config = toy_config(cache, space=space, search={"targets": [1_000]}, training=training)
    whole, _ = run_search(tmp_path / "whole", config)
    path, run = tmp_path / "mine.yaml", tmp_path / "run"
    path.write_text(to_yaml(config.model_copy(update={"run": config.run.model_copy(update={"workers": 2})})))
    words = [["search", "--config", str(path), "--out", str(run)], ["status", str(run)]]
    command = [sys.executable, "-c", COMMANDS, json.dumps(words)]
    with (tmp_path / "output").open("w") as file:
        subprocess.run(command, cwd=ROOT, env=leaping, check=True, stdout=file, stderr=file, timeout=120)
    output = (tmp_path / "output").read_text()
    assert checksums(run) == checksums(whole.folder)
    record = read_run(run)
    starts = [row.attempt.started for row in record.attempts]
    assert max(starts) - min(starts) > 1_800, "it leapt while it ran"
    assert all(0 < (row.attempt.seconds or 0) < 60 for row in record.attempts)
    assert all(row.measurement and 0 < row.measurement.seconds < 60 for row in record.trials)
    assert "left" in output
    assert (run / "report.html").read_text(encoding="utf-8").count("<svg") == len(KINDS), "it is drawn"
    assert "finished" in output.split("\nrun ")[-1], "by the status"
