"""`xpand plot` and `xpand report`, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.expand.commands import Xpand, refused
from tests.expand.made_up import made_up_run


@pytest.mark.slow
def test_plot_writes_into_the_run_and_prints_what(xpand: Xpand, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", rounds=1, results_in_last=0).folder  # which gives small figures
    done = xpand("plot", str(run))
    assert done.returncode == 0, done.stderr
    printed = [Path(line) for line in done.stdout.splitlines()]
    assert len(printed) == 18
    assert all(path.parent == run / "figures" and path.stat().st_size for path in printed)


@pytest.mark.slow
def test_plot_overlays_runs_where_it_is_told(xpand: Xpand, tmp_path: Path) -> None:
    runs = [str(made_up_run(tmp_path / name, rounds=1).folder) for name in ("a", "b")]
    done = xpand("plot", *runs, "--out", str(tmp_path / "figures"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "frontier.pdf", "frontier.png", "frontier.svg",
    ]  # fmt: skip


def test_report_prints_where_it_is(xpand: Xpand, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", rounds=1, results_in_last=0).folder
    done = xpand("report", str(run), "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "page.html")
    assert "run is unfinished" in (tmp_path / "page.html").read_text()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an older format."""
    run = made_up_run(tmp_path_factory.mktemp("runs") / "old", rounds=1)
    run.study.set_user_attr("format", 1)
    run.study.set_user_attr("xpand", "0.0.9")
    return run.folder


@pytest.mark.parametrize("verb", ["plot", "report", "table"])
def test_a_folder_that_is_no_run_or_an_older_one_is_refused(
    xpand: Xpand, tmp_path: Path, old: Path, verb: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    assert refused(xpand(verb, str(folder))) == (
        f"error: {folder} must be a run folder with config.yaml and study.db, but it is not: "
        "name one that `xpand search` made."
    )
    assert not any(folder.iterdir())
    assert refused(xpand(verb, str(old))) == (
        f"error: {old} must be a run of format 2, got 1: read it with the xpand that made it (0.0.9), "
        "or search again."
    )
    assert not (old / "figures").exists()
