"""What a running search shows, on a terminal and elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from expand.data.progress import StageProgress
from expand.jobs.job import Failure, Job, Result
from expand.report.live_search import SearchView
from expand.run.study import Run
from expand.search.forecast import Clock, Speed
from expand.search.replay import Replay
from expand.search.setup import Setup
from expand.system.files import write_json
from tests.expand.runs import CARD, toy_config
from tests.expand.search.test_replay import measurement


def console(terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, no_color=True)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


@pytest.fixture
def setup() -> Setup:
    config = toy_config(
        space={"name": "x3d", "settings": {"size": 32}},
        search={"targets": ["6M"], "seeds": 2, "step": 1.85},
        training={"epochs": 10},
    )
    return Setup.of(config, CARD)


@pytest.fixture
def view(setup: Setup, tmp_path: Path) -> SearchView:
    """A view in round 1: one candidate done, one failed, one half-way through its second seed."""
    run = Run.create(tmp_path / "run", setup.config, CARD)
    found = SearchView(console(terminal=False))
    found.begin(run, setup, Clock(setup, Speed(fixed=1e-3, per_mac=1e-9), workers=2))
    results: dict[str, Result] = {}
    replay = Replay(setup)
    assert replay.current is not None
    for _, job in replay.current.missing({}):
        results[job.key] = measurement(0.25)
    replay.send(results)

    def ones(name: str) -> tuple[Job, ...]:
        return next(found for candidate, found in replay.jobs.items() if candidate.name == name)

    results |= {job.key: measurement(0.5) for job in ones("width")}
    results[ones("depth")[0].key] = Failure(reason="the training loss is nan at step 3")
    results[ones("bottleneck")[0].key] = measurement(0.375)
    folder = run.job_folder(ones("bottleneck")[1])
    folder.mkdir()
    write_json(folder / "progress.json", {"step": 8, "clips": 120, "total": 240, "loss": 1.0})
    assert replay.current is not None
    found.round(replay.current, results)
    return found


@pytest.fixture
def racing(tmp_path: Path) -> tuple[SearchView, Console]:
    """A view at the start of the second stage of round 1, and what it has printed."""
    config = toy_config(
        space={"name": "x3d", "settings": {"size": 32}},
        search={"targets": ["6M"], "seeds": "2-4", "step": 1.85},
    )
    setup, results = Setup.of(config, CARD), dict[str, Result]()
    scores = {"fast": (0.60, 0.50), "temporal": (0.52, 0.58)}
    printed = console(terminal=False, width=200)
    found, replay = SearchView(printed), Replay(setup)
    found.begin(
        Run.create(tmp_path / "race", config, CARD), setup, Clock(setup, Speed(fixed=1e-3, per_mac=1e-9), 2)
    )
    for _ in range(2):
        assert replay.current is not None
        found.round(replay.current, results)
        for candidate, job in replay.current.missing(results):
            result = measurement(scores.get(candidate.name, (0.2, 0.21))[job.seed])
            results[job.key] = result
            found.finished(job, result)
        replay.send(results)
    assert replay.current is not None
    found.round(replay.current, results)
    return found, printed


def test_a_race_shows_all_candidates_and_what_is_open(racing: tuple[SearchView, Console]) -> None:
    view, printed = racing
    shown = console(terminal=False)
    shown.print(view.render())
    head, open_, _, *table = text(shown).splitlines()
    assert head.startswith("Round 1: expansion")
    assert open_.startswith("not sure yet, P(best) fast ")
    assert open_.endswith(" trainings would settle it")
    rows = {line.split()[0]: line for line in table if line.strip()}
    assert "P(best)" in rows["candidate"]
    assert "50.0% … 60.0%" in rows["fast"]
    assert "20.0% … 21.0%" in rows["depth"]
    assert "done" in rows["depth"]
    assert "seed" not in rows["depth"]
    (line,) = (one for one in text(printed).splitlines() if "is open" in one)
    assert line.startswith("round 1 is open, P(best) fast ")
    assert line.endswith(": seed 2 of fast, temporal, control")


def test_the_table_of_a_round(view: SearchView) -> None:
    shown = console(terminal=False)
    shown.print(view.render())
    lines = text(shown).splitlines()
    assert lines[0] == "Round 1: expansion from step-0 (1.944 M MACs, 25.0%)"
    assert lines[1].startswith("0 s so far, about ")
    rows = {line.split()[0]: line for line in lines[2:] if line.strip()}
    assert "50.0%" in rows["width"]
    assert "done" in rows["width"]
    assert "failed" in rows["depth"]
    assert "epoch 5.0/10, seed 2/2" in rows["bottleneck"]
    assert "37.5%" in rows["bottleneck"]
    assert "waiting" in rows["fast"]
    assert "saturated" in rows["spatial"]  # 40 pixels cost 1.92 times as much
    assert all(len(line) <= 80 for line in lines)


def test_a_contraction_names_the_networks_that_are_contracted(tmp_path: Path) -> None:
    config = toy_config(search={"targets": [1_500, 4_000]})
    setup = Setup.of(config, CARD)
    replay, results, found = Replay(setup), dict[str, Result](), SearchView(console(terminal=False))
    clock = Clock(setup, Speed(fixed=1e-3, per_mac=1e-9), workers=1)
    found.begin(Run.create(tmp_path / "run", config, CARD), setup, clock)
    while replay.current is not None and replay.current.round.kind != "contraction":
        results |= {job.key: measurement(0.25) for _, job in replay.current.missing(results)}
        replay.send(results)
    assert replay.current is not None
    found.round(replay.current, results)
    shown = console(terminal=False)
    shown.print(found.render())
    assert text(shown).splitlines()[0] == "Round 5: contraction from step-2-width, step-4-width"


def test_elsewhere_than_on_a_terminal_a_line_for_each_thing_that_ends(setup: Setup, tmp_path: Path) -> None:
    shown = console(terminal=False, width=200)
    replay, results = Replay(setup), dict[str, Result]()
    assert replay.current is not None
    with SearchView(shown) as found:
        found.caching(StageProgress(what="decoding", done=0, total=9, note="the cache takes 0.1 GB"))
        found.begin(
            Run.create(tmp_path / "run", setup.config, CARD),
            setup,
            Clock(setup, Speed(fixed=0.0, per_mac=1e-9), workers=1),
        )
        found.round(replay.current, results)
        for _, job in replay.current.missing({}):
            results[job.key] = measurement(0.25, seconds=61)
            found.finished(job, results[job.key])
    lines = text(shown).splitlines()
    assert lines[0] == "the cache takes 0.1 GB"
    assert lines[1].startswith("round 0: start, seed 0: top-1 25.0% in 1 min 1 s, about ")
    assert lines[3] == "round 0: start 25.0%"


def test_a_round_ends_with_what_was_accepted_and_with_many_loops(setup: Setup, tmp_path: Path) -> None:
    shown = console(terminal=False, width=200)
    replay, results, found = Replay(setup), dict[str, Result](), SearchView(shown)
    clock = Clock(setup, Speed(fixed=1e-3, per_mac=1e-9), workers=1)
    found.begin(Run.create(tmp_path / "run", setup.config, CARD), setup, clock)
    scores = {"temporal": 0.5, "width": 0.625}
    for _ in range(3):
        assert replay.current is not None
        found.round(replay.current, results)
        for candidate, job in replay.current.missing(results):
            score = scores.get(candidate.name, 0.25)
            looped = {"temporal": 12, "width": 1}.get(candidate.name, 0)
            results[job.key] = replace(measurement(score), looped=looped)
            found.finished(job, results[job.key])
        replay.send(results)
    lines = [line for line in text(shown).splitlines() if "seed" not in line]
    assert lines[0] == "round 0: start 25.0%"
    assert lines[1].startswith("round 1: width 62.5%, temporal 50.0%, ")
    assert lines[1].endswith(" (12 of 24 training videos are looped, as the clips of temporal are longer)")
    assert lines[2] == "round 1: accepted width, 62.5%, then temporal 50.0%"


def test_decoding_shows_how_far_it_is(setup: Setup) -> None:
    found = SearchView(console(terminal=False))
    found.caching(StageProgress(what="decoding", done=3, total=9_000))
    shown = console(terminal=False)
    shown.print(found.render())
    assert "3 of 9,000" in text(shown)


def test_a_terminal_is_left_clean(setup: Setup) -> None:
    shown = console(terminal=True)
    with SearchView(shown):
        pass
    cursor_back, line_erased = "\x1b[?25h", "\x1b[2K"
    assert cursor_back in text(shown)
    assert text(shown).endswith(line_erased)
