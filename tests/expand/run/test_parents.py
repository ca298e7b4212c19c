"""Weights that are gone are trained again, where candidates are to grow from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from expand.config.search import Config
from expand.jobs.folder import WEIGHTS
from expand.jobs.job import Failure
from expand.run.driver import drive
from expand.run.parents import lost_generations
from expand.run.study import Run
from expand.search.replay import Replay
from expand.system.errors import RunFailed
from tests.expand.faults.processes import checksums, lasting
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config


@pytest.fixture
def config(cache: Path) -> Config:
    return toy_config(
        cache,
        space={"name": "tests.expand.toy:GrowingToySpace"},
        search={"targets": [4_000], "settings": {"past_control": True}},
        training={"init": "grown", "learning_rate": 1.0, "epochs": 20},
    )


class Stop(BaseException):
    """Ends a search from inside."""


class Stopping(Quiet):
    """Stops the search when a round begins."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def round(self, jobs, results) -> None:  # type: ignore[no-untyped-def]
        if jobs.round.number == self.at:
            raise Stop


def stopped_at(folder: Path, config: Config, number: int) -> Run:
    """A search that was stopped when a round began, and whose checkpoints are gone."""
    with pytest.raises(Stop):
        run_search(folder, config, Stopping(number))
    shutil.rmtree(folder / "checkpoints")
    return Run.open(folder)


def go_on(run: Run, config: Config) -> Quiet:
    view = Quiet()
    with run.locked():
        drive(run, prepared(config), SPEED, view)
    return view


def test_a_search_without_its_checkpoints_ends_the_same(tmp_path: Path, config: Config) -> None:
    whole, _ = run_search(tmp_path / "whole", config)
    run = stopped_at(tmp_path / "run", config, 3)
    measured = run.results()
    view = go_on(run, config)
    assert [names.split(" ")[0] for names in view.restored] == ["start", *_axes(run)]
    assert not set(view.trained) & set(measured)
    assert lasting(run.folder) == lasting(whole.folder)
    assert checksums(run.folder) == checksums(whole.folder)


def _axes(run: Run) -> list[str]:
    """The axes of the first two steps."""
    return [
        path.stem.split("-")[2] for path in run.models().values() if path.stem[:6] in ("step-1", "step-2")
    ]


def test_only_what_is_gone_is_trained_again(tmp_path: Path, config: Config) -> None:
    with pytest.raises(Stop):
        run_search(tmp_path / "run", config, Stopping(3))
    run, ready = Run.open(tmp_path / "run"), prepared(config)
    replay, results = Replay(ready.setup), run.results()
    while replay.current is not None and not replay.current.missing(results):
        replay.send(results)
    assert replay.current is not None
    wanted = [job for _, job in replay.current.missing(results)]
    known = {job.key: job for jobs in replay.jobs.values() for job in jobs}
    parent = known[wanted[0].parent or ""]
    (run.job_folder(parent) / WEIGHTS).unlink()
    assert lost_generations(run, [parent], known) == [[parent]]
    assert parent.parent is not None
    (run.job_folder(parent.parent) / WEIGHTS).unlink()
    assert lost_generations(run, [parent], known) == [[known[parent.parent]], [parent]]


def test_where_it_fails_the_candidates_are_left_alone(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_at(tmp_path / "run", config, 2)
    before = run.results()
    monkeypatch.setattr("expand.run.parents.read_result", lambda _: Failure(reason="out of memory"))
    with pytest.raises(RunFailed) as error:
        go_on(run, config)
    assert "are gone, and the training that had made them failed now: out of memory; put" in str(error.value)
    assert run.results() == before
