"""The verb `xpand profile`, on networks so small that they take no time, and a search by what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expand.profiling import measure
from tests.expand.commands import Xpand, refused

SMALL = ("--set", "space.settings.size=32", "--largest", "2")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "FEWEST", 5)


def test_a_device_is_measured_and_a_search_goes_by_it(xpand: Xpand, tmp_path: Path) -> None:
    file = tmp_path / "device.yaml"
    done = xpand("profile", "--out", file, "--networks", "6", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == [
        "predicted",
        "by",
        "median",
        "error",
        "95",
        "%",
        "are",
        "below",
        "rank",
        "correlation",
    ]
    assert "6 of 6 networks timed" in done.stderr
    assert f"{file}: torch on cpu, 1 thread, 6 networks" in done.stderr
    planned = xpand(
        *("search", "--data", "synthetic", "--target", "20ms", "--profile", file, "--dry-run"),
        *("--set", "space.settings.size=32", "--set", "training.init=scratch"),
    )
    assert planned.returncode == 0, planned.stderr
    assert "targets   20 ms latency" in planned.stderr
    assert "latency   predicted for torch on cpu, 1 thread: off by " in planned.stderr
    assert "; extrapolated from networks of up to " in planned.stderr
    again = xpand("profile", "--out", file, "--networks", "6", "--json", *SMALL)
    assert json.loads(again.stdout)["errors"].keys() == {"median", "percentile_95", "rank"}


def test_mistakes_are_one_line(xpand: Xpand, tmp_path: Path) -> None:
    search = ("search", "--data", "synthetic", "--target", "5ms")
    assert refused(xpand(*search)).startswith("error: latency needs a profile of the device")
    assert refused(xpand(*search, "--profile", "nothing.yaml")) == (
        "error: options: search.profile: nothing.yaml cannot be read: No such file or directory."
    )
    other = tmp_path / "other.yaml"
    other.write_text("search: {targets: [80M]}\n")
    assert refused(xpand(*search, "--profile", other)) == (
        f"error: options: search.profile: {other} must be a profile, as xpand profile writes it."
    )
    assert refused(xpand("profile", "--out", tmp_path / "device.yaml", "--networks", "2")) == (
        "error: --networks must be at least 5, got 2."
    )
