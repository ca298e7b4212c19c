"""What a search started from is named wherever the run is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.plots.style import start_name
from expand.report.page import render
from expand.run.record import read_run
from expand.run.status import read_status
from expand.run.study import Run
from tests.expand.runs import CARD, toy_config


@pytest.mark.usefixtures("no_figures")
def test_status_page_and_figures_name_the_start(tmp_path: Path) -> None:
    start = {"network": "/runs/target-6M.yaml", "factors": {"width": 5}, "checksum": "ab"}
    run = Run.create(tmp_path / "run", toy_config(search={"start": start}), CARD)
    status, words = read_status(run.folder), "/runs/target-6M.yaml with its weights"
    assert status.lines().splitlines()[2] == f"start     {words}"
    assert status.to_json()["start"] == words
    record = read_run(run.folder)
    assert words in render(record)
    assert start_name(record) == "target-6M"
