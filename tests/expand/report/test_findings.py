"""What a search's scores do not tell, and what to do about it, as a user reads it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from expand.jobs.job import Job, Result
from expand.report.findings import findings
from expand.run.record import read_run
from expand.search.base import Candidate
from tests.expand.commands import Xpand
from tests.expand.made_up import better_with_cost, made_up_run
from tests.expand.runs import CARD
from tests.expand.search.test_replay import measurement

EIGHT = replace(CARD, val=8, classes=tuple("abcd"), val_counts=(2, 2, 2, 2))
NOTHING = (
    "Nothing beats guessing: the best of 12 candidates has top-1 25.0%, always naming the most frequent "
    "class has 25.0%, and on 8 validation videos the best of as many guesses reaches 75.0% in fewer than 1 "
    "of 20 searches. So the choices of this search mean nothing. 8 validation videos are few, as each of "
    "them moves a score by 12.5 points: list more (data.val). "
)
CHEAPER = "step-0 costs less than target-6M (1.944 M against 4.96 M MACs) and scored 80.0% against 44.6%."


def guesses(number: int, candidate: Candidate, job: Job) -> Result:
    return measurement(0.25, macs=candidate.macs)


def start_is_best(number: int, candidate: Candidate, job: Job) -> Result:
    return measurement(0.8, macs=candidate.macs) if number == 0 else better_with_cost(number, candidate, job)


@pytest.mark.usefixtures("no_figures")
def test_a_search_in_which_nothing_beats_guessing_offers_no_training(xpand: Xpand, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", score=guesses, card=EIGHT)
    (found,) = findings(read_run(run.folder))
    assert found == (
        f"{NOTHING}Train longer than 8 epochs (--epochs), with more videos, or from a start with more "
        "frames or larger ones (space.settings)."
    )
    done = xpand("resume", run.folder)
    assert found in done.stderr.splitlines()
    *_, frames, again, rounds = done.stderr.splitlines()
    assert frames.endswith(f" frames --config {run.folder}/config.yaml --out clips")
    assert again.endswith(f" search --config {run.folder}/config.yaml --epochs 32")
    assert rounds.endswith(f" table {run.folder} --what rounds")
    assert json.loads(xpand("resume", run.folder, "--json").stdout)["remarks"] == [found]
    assert " ".join(xpand("table", run.folder).stdout.split()).endswith(found)
    assert found in (run.folder / "report.html").read_text()


def test_networks_that_learned_their_training_videos_may_need_more_of_them(tmp_path: Path) -> None:
    def score(number: int, candidate: Candidate, job: Job) -> Result:
        return measurement(0.25, macs=candidate.macs, train_loss=0.7, guess_loss=math.log(4))

    (found,) = findings(read_run(made_up_run(tmp_path / "run", score=score, card=EIGHT).folder))
    assert found == (
        f"{NOTHING}Networks have learned something of the training videos; trainings longer than 8 epochs "
        "(--epochs), or more training videos, may make it hold for others."
    )


def test_where_so_few_videos_judge_that_all_right_could_be_a_guess_that_is_said(tmp_path: Path) -> None:
    two = replace(EIGHT, val=2, val_counts=(1, 1, 0, 0))
    (found,) = findings(read_run(made_up_run(tmp_path / "run", score=guesses, card=two).folder))
    assert "has 50.0%, and on 2 validation videos even 100.0% could be a guess. So" in found


@pytest.mark.usefixtures("no_figures")
def test_a_cheaper_network_that_scores_more_than_a_targets_is_offered(xpand: Xpand, tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", score=start_is_best)
    assert findings(read_run(run.folder)) == [CHEAPER]
    done = xpand("resume", run.folder)
    assert CHEAPER in done.stderr.splitlines()
    assert f"train {run.folder} --model step-0\n" in done.stderr


def test_a_sound_search_has_no_findings(tmp_path: Path) -> None:
    assert findings(read_run(made_up_run(tmp_path / "run").folder)) == []
