"""A whole search to a predicted latency: what it found is timed, in the record, its model files and cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.search import Config
from expand.export.base import FormatFiles, NetworkToExport
from expand.export.card import card
from expand.report.page import write_report
from expand.report.sheets import trajectory_sheet
from expand.run.record import read_run
from expand.system.machine import describe_machine
from expand.weights.models import read_model
from tests.expand.profiles import PROFILE
from tests.expand.runs import run_search, toy_config


def config(cache: Path, processor: str) -> Config:
    """A search to 1.5 ms along one axis, from random weights."""
    return toy_config(
        cache,
        space={"name": "x3d", "settings": {"size": 32}},
        search={
            "targets": ["1500us"],
            "axes": ["width"],
            "profile": PROFILE | {"machine": {"processor": processor}},
        },
        training={"init": "scratch"},
    )


def test_what_is_found_is_timed_on_the_device_of_the_profile(tmp_path: Path) -> None:
    run, _ = run_search(tmp_path / "run", config(tmp_path / "cache", describe_machine()["processor"]))
    record = read_run(run.folder)
    assert [row.name for row in record.trajectory][-1] == "target-1.5ms"
    assert all(row.timed is not None and row.timed > 0 for row in record.trajectory)
    assert trajectory_sheet(record).headings[:3] == ("model", "latency", "timed")

    model, row = read_model(record.models["target-1.5ms"]), record.trajectory[-1]
    assert model.values["found"]["latency"] == {
        "device": "torch on cpu, 1 thread",
        "predicted": row.network.cost,
        "timed": row.timed,
    }
    written = FormatFiles(files=(Path("net.yaml"),), loading="")
    text = card(NetworkToExport(model=model, state=None), written, name="net.md", form="slowfast", weights="")
    assert "contracted to a target of 1.5 ms latency." in text
    assert "Latency on torch on cpu, 1 thread: predicted 1.4" in text
    page = write_report(run.folder, None).read_text()
    assert "predicted latency" in page
    assert "predicted for torch on cpu, 1 thread: off by 2.0% in the median" in page
    assert '"timed"' in page


def test_on_another_machine_it_is_said_that_nothing_is_timed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, _ = run_search(tmp_path / "run", config(tmp_path / "cache", "another"))
    record = read_run(run.folder)
    assert all(row.timed is None for row in record.trajectory)
    assert "timed" not in trajectory_sheet(record).headings
    assert "what was found is not timed: the profile is of another, and this is" in caplog.text
    assert read_model(record.models["target-1.5ms"]).values["found"]["latency"].keys() == {
        "device",
        "predicted",
    }
