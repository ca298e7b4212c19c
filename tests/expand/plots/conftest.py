"""Made-up runs that the figures' tests share; reading them is cheap, so they are read once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from expand.plots import Kind, draw
from expand.run.record import RunRecord, read_run
from tests.expand.made_up import failing, made_up_run, without, x3d_config
from tests.expand.runs import CARD


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made-up")


@pytest.fixture(scope="session")
def drawn() -> Callable[[Kind, RunRecord], Figure]:
    """The figure of a kind of one of these runs, which is drawn once; not to be changed."""
    figures: dict[tuple[Kind, str], Figure] = {}

    def figure(kind: Kind, record: RunRecord) -> Figure:
        key = (kind, record.folder.name)
        if key not in figures:
            figures[key] = draw(kind, [record])
        return figures[key]

    return figure


@pytest.fixture(scope="session")
def short(folder: Path) -> RunRecord:
    """One seed, two rounds, one target."""
    return read_run(made_up_run(folder / "short").folder)


@pytest.fixture(scope="session")
def long(folder: Path) -> RunRecord:
    """Three seeds, eight rounds, three targets, an axis that fails, a restart, two attempts cut off."""
    run = made_up_run(
        folder / "long",
        x3d_config(search={"targets": ["6M", "40M", "200M"], "seeds": 3}),
        score=failing("depth", "the training loss is nan at step 3, 48 clips in"),
        pauses={3: 4000.0},
        cut=frozenset({30, 41}),
    )
    return read_run(run.folder)


@pytest.fixture(scope="session")
def half(folder: Path) -> RunRecord:
    """Unfinished, in the middle of its first round; a class without validation videos."""
    run = made_up_run(
        folder / "half",
        x3d_config(search={"targets": ["6M"], "seeds": 2}),
        rounds=2,
        results_in_last=5,
        card=without(CARD, "c"),
    )
    return read_run(run.folder)


@pytest.fixture(scope="session")
def nothing(folder: Path) -> RunRecord:
    """Started, and nothing is trained yet."""
    return read_run(made_up_run(folder / "nothing", rounds=1, results_in_last=0).folder)


@pytest.fixture(scope="session")
def stopped(folder: Path) -> RunRecord:
    """Its start failed, so that it cannot go on: no accepted network."""
    from expand.jobs.job import Failure

    run = made_up_run(folder / "stopped", score=lambda *_: Failure(reason="out of memory"), rounds=1)
    return read_run(run.folder)


@pytest.fixture(scope="session")
def grown(folder: Path) -> RunRecord:
    """Two seeds; candidates are grown from what their parent has learned, beside a control."""
    config = x3d_config(search={"targets": ["12M"], "seeds": 2}, training={"init": "grown"})
    return read_run(made_up_run(folder / "grown", config).folder)
