"""The tables of a run as texts: what growth gained, what learned nothing, and why a search stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from expand.jobs.job import Job, Result
from expand.report.findings import nothing_learned
from expand.report.sheets import rounds_sheet
from expand.run.frames import columns
from expand.run.record import RunRecord, read_run
from expand.run.status import read_status
from expand.search.base import Candidate
from tests.expand.commands import Xpand
from tests.expand.made_up import Score, better_with_cost, made_up_run, x3d_config
from tests.expand.search.test_replay import measurement

GROWN = {"init": "grown"}


def grown(folder: Path, score: Score) -> RunRecord:
    config = x3d_config(search={"targets": ["6M"]}, training=GROWN)
    return read_run(made_up_run(folder / "run", config, score=score).folder)


def stuck(number: int, candidate: Candidate, job: Job) -> Result:
    """Trainings that end with the loss of a guess."""
    return measurement(0.1, train_loss=2.479, guess_loss=math.log(12))


def no_better_than_the_control(number: int, candidate: Candidate, job: Job) -> Result:
    return measurement(0.5 if candidate.name == "control" else 0.4, macs=candidate.macs)


def test_a_gain_is_what_a_candidate_scores_above_its_control(tmp_path: Path) -> None:
    record = grown(tmp_path, better_with_cost)
    sheet = rounds_sheet(record)
    place = sheet.headings.index("gain")
    control = {row.round: row.score for row in record.rounds if row.network.candidate == "control"}
    assert set(control) == {1, 2}
    by_key = {line.key: line.cells[place] for line in sheet.lines}
    for row in record.rounds:
        if row.round in control and row.network.candidate != "control":
            assert row.gain == pytest.approx(row.score - control[row.round])
            assert by_key[row.key] == f"{100 * (row.score - control[row.round]):+.1f}"
        else:
            assert row.gain is None
            assert by_key[row.key] == ""
    gains = {row["candidate"]: row["gain"] for row in columns(record, "rounds") if row["round"] == 1}
    assert gains["control"] is None
    assert gains["fast"] > 0


def test_from_scratch_there_is_no_gain(tmp_path: Path) -> None:
    record = read_run(made_up_run(tmp_path / "run").folder)
    assert "gain" not in rounds_sheet(record).headings
    assert "gain" not in columns(record, "rounds")[0]


def test_a_candidate_that_learned_nothing_is_said_to_have(tmp_path: Path) -> None:
    def score(number: int, candidate: Candidate, job: Job) -> Result:
        if candidate.axis in ("depth", "width"):
            return stuck(number, candidate, job)
        return better_with_cost(number, candidate, job)

    record = read_run(made_up_run(tmp_path / "run", score=score).folder)
    states = {line.key: line.cells[-1] for line in rounds_sheet(record).lines}
    assert states["1-depth"] == states["1-width"] == "learned nothing"
    assert states["1-spatial"] == "done"
    learned = {row["candidate"]: row["learned"] for row in columns(record, "rounds") if row["round"] == 1}
    assert [name for name, value in learned.items() if value is False] == ["depth", "width"]
    assert learned["spatial"] is None  # made up without the loss of a guess
    assert record.learned


@pytest.mark.usefixtures("no_figures")
def test_a_search_that_learned_nothing_says_so_in_place_of_its_table(xpand: Xpand, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", score=stuck)
    record = read_run(run.folder)
    assert not record.learned
    assert nothing_learned(record) == (
        "Nothing was learned: no network that the search found does better than a guess (training loss "
        "2.48, a guess has 2.48), so its choices mean nothing. Train longer than 8 epochs (--epochs), with "
        "more videos, or from a start with more frames or larger ones (space.settings)."
    )
    done = xpand("resume", run.folder)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == nothing_learned(record)


@pytest.mark.usefixtures("no_figures")
def test_a_search_that_stopped_says_why_wherever_it_is_shown(xpand: Xpand, tmp_path: Path) -> None:
    record = grown(tmp_path, no_better_than_the_control)
    why = (
        "no candidate of round 1 is better than the network it was grown from, trained on for as long "
        "(width 40.0%, control 50.0%): more epochs or seeds may tell them apart, and "
        "--set search.settings.past_control=true grows on regardless."
    )
    assert record.finished
    assert record.stopped == why
    assert f"stopped   {why}" in read_status(record.folder).lines().splitlines()
    assert read_status(record.folder).to_json()["stopped"] == why
    assert [row.name for row in record.trajectory] == ["step-0", "target-6M"]
    done = xpand("resume", record.folder)
    assert f"Stopped: {why}" in done.stderr
    assert why.replace("&", "&amp;") in (record.folder / "report.html").read_text()
