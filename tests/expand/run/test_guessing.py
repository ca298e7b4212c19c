"""Scores against those of guessing, and networks against cheaper ones."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expand.jobs.job import Job, Result
from expand.run.guessing import cheaper_ones, guessing, least_beyond_chance, to_use
from expand.run.record import read_run
from expand.search.base import Candidate
from expand.training.objectives import load_objective
from tests.expand.made_up import Score, better_with_cost, made_up_run
from tests.expand.runs import CARD
from tests.expand.search.test_replay import measurement

EIGHT = replace(CARD, val=8, classes=tuple("abcd"), val_counts=(2, 2, 2, 2))


def always(top1: float) -> Score:
    def score(number: int, candidate: Candidate, job: Job) -> Result:
        return measurement(top1, macs=candidate.macs)

    return score


def test_one_fair_guess_of_ten_videos_must_have_nine_right() -> None:
    assert least_beyond_chance(0.5, 10, 1) == 0.9  # 9 or 10 of 10 coins: 11 of 1,024; 8 or more: 56
    assert least_beyond_chance(0.5, 4, 1) == 5 / 4  # all heads: 1 of 16, more than 1 of 20
    assert least_beyond_chance(1.0, 4, 1) == 5 / 4
    assert least_beyond_chance(0.5, 10, 1000) == 11 / 10


@pytest.mark.parametrize(("share", "videos", "candidates"), [(0.25, 8, 10), (0.1, 100, 20), (0.4, 464, 40)])
def test_the_best_of_many_guesses_hardly_ever_reaches_the_bound(
    share: float, videos: int, candidates: int
) -> None:
    bound = least_beyond_chance(share, videos, candidates)
    draws = np.random.default_rng(0).binomial(videos, share, (20_000, candidates)).max(axis=1) / videos
    assert (draws >= bound).mean() < 0.056
    assert (draws >= bound - 1 / videos).mean() > 0.044


def test_few_videos_make_high_scores_guesses(tmp_path: Path) -> None:
    found = guessing(read_run(made_up_run(tmp_path / "low", score=always(0.5), card=EIGHT).folder))
    assert found is not None
    assert (found.chance.score, found.best, found.beaten) == (0.25, 0.5, False)
    found = guessing(read_run(made_up_run(tmp_path / "high", score=always(7 / 8), card=EIGHT).folder))
    assert found is not None
    assert found.beaten


def test_before_any_score_nothing_is_said_of_guessing(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", rounds=1, results_in_last=0)
    assert guessing(read_run(run.folder)) is None


def test_the_spread_of_chance_is_that_of_a_mean_over_classes() -> None:
    counts = np.array([2, 4, 30, 0])
    chance = load_objective("mean-class-accuracy").chance(counts, 36)
    assert chance is not None
    assert chance.videos is not None
    truth = np.repeat(np.arange(3), counts[:3])
    drawn = random.Random(0)
    means = []
    for _ in range(4_000):
        right = [drawn.random() < chance.score for _ in truth]
        means.append(
            np.mean([np.mean([r for r, t in zip(right, truth, strict=True) if t == c]) for c in range(3)])
        )
    expected = math.sqrt(chance.score * (1 - chance.score) / chance.videos)
    assert np.std(means) == pytest.approx(expected, rel=0.05)
    assert load_objective("top1").chance(counts, 36).videos == 36  # type: ignore[union-attr]
    assert load_objective("mAP").chance(counts, 36).videos is None  # type: ignore[union-attr]


def test_a_cheaper_network_that_scores_no_less_is_the_one_to_use(tmp_path: Path) -> None:
    def score(number: int, candidate: Candidate, job: Job) -> Result:
        if number == 0:
            return measurement(0.8, macs=candidate.macs)
        return better_with_cost(number, candidate, job)

    record = read_run(made_up_run(tmp_path / "run", score=score).folder)
    (found,) = cheaper_ones(record)
    assert (found.target.name, found.instead.name) == ("target-6M", "step-0")
    assert found.scores[1] == pytest.approx(0.8)
    assert found.scores[0] < 0.8
    assert to_use(record).name == "step-0"


def test_a_network_that_is_better_than_all_cheaper_ones_is_used(tmp_path: Path) -> None:
    record = read_run(made_up_run(tmp_path / "run").folder)
    assert list(cheaper_ones(record)) == []
    assert to_use(record).name == "target-6M"
