"""Searches side by side: what each found for what it spent; by runs with made-up scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from expand.command.cli import app
from expand.plots import draw, write_figures
from expand.report.sheets import comparison_sheet
from expand.report.terminal import comparison_words
from expand.run.comparison import Climb, Comparison, Entrant, compare
from expand.run.record import RunRecord, read_run
from expand.system.errors import UserError
from tests.expand.made_up import failing, made_up_run, x3d_config
from tests.expand.plots.test_figures import words
from tests.expand.runs import CARD


def run(folder: Path, strategy: str = "expansion", seed: int = 0, **search: Any) -> RunRecord:
    settings = {"networks": 5} if strategy in ("random", "tpe", "nsga2") else {}
    values = {"targets": ["6M"], "strategy": strategy, "settings": settings, "seed": seed, **search}
    return read_run(made_up_run(folder / f"{strategy}-{seed}", x3d_config(search=values)).folder)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    folder = tmp_path_factory.mktemp("runs")
    return [run(folder, strategy, seed) for strategy in ("expansion", "random") for seed in (1, 2)]


def found(name: str, *scores: float) -> Entrant:
    climbs = tuple(
        Climb(folder=name, spent=(1.0,), best=(score,), found=score, test=None, trainings=1)
        for score in scores
    )
    return Entrant(name=name, climbs=climbs)


def among(*entrants: Entrant) -> Comparison:
    return Comparison(target=1, target_name="1", words="top-1", fresh=False, entrants=entrants)


def test_runs_that_differ_in_their_seed_alone_are_one_entrant(four: list[RunRecord]) -> None:
    compared = compare(four)
    assert [one.name for one in compared.entrants] == ["expansion", "random"]
    assert [[climb.folder for climb in one.climbs] for one in compared.entrants] == [
        ["expansion-1", "expansion-2"],
        ["random-1", "random-2"],
    ]
    assert compared.target == 6_000_000


def test_a_climb_counts_what_was_trained_and_the_best_within_the_target(four: list[RunRecord]) -> None:
    for record in (four[0], four[2]):
        (climb,) = compare([record, record]).entrants[0].climbs[:1]
        done = [one.measurement for one in record.trials if one.measurement is not None]
        spent = sum(3 * one.macs * one.clips_seen for one in done)
        assert climb.spent[-1] == spent
        assert list(climb.spent) == sorted(climb.spent)
        assert list(climb.best) == sorted(climb.best)
        within = [row.score for row in record.measured if row.network.cost <= 6_000_000]
        assert climb.best[-1] == max(within)
        assert climb.found == record.targets[0].score
        assert climb.trainings == len(record.trials)
        assert climb.at(0) is None
        assert climb.at(spent) == climb.best[-1]


def test_what_is_grown_for_larger_targets_is_not_counted(tmp_path: Path) -> None:
    small = run(tmp_path / "small")
    large = run(tmp_path / "large", targets=["6M", "12M"])
    one, other = (entrant.climbs[0] for entrant in compare([small, large]).entrants)
    assert large.trials[-1].round > small.trials[-1].round
    assert len([row for row in large.rounds if row.kind == "contraction"]) == 2
    assert other.spent == pytest.approx(one.spent)
    assert other.trainings == one.trainings
    assert other.found == one.found


def test_fresh_seeds_decide_where_all_runs_have_them(tmp_path: Path, four: list[RunRecord]) -> None:
    confirmed = [run(tmp_path, strategy, confirm=2) for strategy in ("expansion", "random")]
    compared = compare(confirmed)
    assert compared.fresh
    for entrant, record in zip(compared.entrants, confirmed, strict=True):
        assert record.targets[0].fresh is not None
        assert entrant.found == record.targets[0].fresh.mean
    assert "with fresh seeds" in comparison_words(compared)
    mixed = compare([confirmed[0], four[2]])
    assert not mixed.fresh
    assert mixed.entrants[0].found == confirmed[0].targets[0].score


def test_the_probability_is_that_of_students_t() -> None:
    # 0.02 apart, with a standard error of 0.02 / √2: t = √2 with 2 degrees of freedom.
    one, other = found("a", 0.52, 0.50), found("b", 0.50, 0.48)
    compared = among(one, other)
    assert compared.ahead(one, other) == pytest.approx(0.5 + 2**0.5 / (2 * (2 + 2) ** 0.5), abs=0.005)
    assert compared.ahead(one, other) == pytest.approx(1 - (compared.ahead(other, one) or 0))
    assert among(found("a", 0.5, 0.4), found("b", 0.45)).pairs[0][2] == pytest.approx(0.5)
    assert among(found("a", 0.5), found("b", 0.4)).pairs[0][2] is None
    assert among(found("a", 0.5, 0.5), found("b", 0.4)).pairs[0][2] == 1.0


def test_the_table_and_the_figure_say_who_is_ahead(four: list[RunRecord], tmp_path: Path) -> None:
    compared = compare(four)
    sheet = comparison_sheet(compared)
    assert sheet.headings == ("search", "runs", "trainings", "spent", "top-1", "ahead of")
    best = max(compared.entrants, key=lambda one: one.found)
    (line,) = (line for line in sheet.lines if line.key == best.name)
    (_, other, chance) = compared.pairs[0]
    assert line.cells[-1] == f"{other.name} ({chance:.0%})"
    said = words(draw("comparison", four))
    assert "Best score for what was spent: target 6M" in said
    assert "expansion, 2 runs" in said
    assert "random, 2 runs" in said
    paths = write_figures([record.folder for record in four], tmp_path, ["comparison"])
    assert [path.name for path in paths] == [f"comparison.{form}" for form in ("png", "svg", "pdf")]


def test_the_command_prints_the_table_or_json(four: list[RunRecord], tmp_path: Path) -> None:
    folders = [str(record.folder) for record in four]
    printed = CliRunner().invoke(app, ["compare", *folders, "--out", str(tmp_path)])
    assert printed.exit_code == 0
    assert "random" in printed.stdout
    asked = CliRunner().invoke(app, ["compare", *folders, "--out", str(tmp_path), "--json"])
    values = json.loads(asked.stdout)
    assert {one["name"] for one in values["entrants"]} == {"expansion", "random"}
    assert 0.5 <= values["ahead"][0]["probability"] <= 1
    assert (tmp_path / "comparison.svg").exists()


def test_what_cannot_be_compared_is_said(tmp_path: Path, four: list[RunRecord]) -> None:
    other = made_up_run(tmp_path / "other", card=replace(CARD, name="other", checksum="1" * 64))
    params = made_up_run(tmp_path / "params", x3d_config(search={"targets": ["3Mparams"]}))
    larger = made_up_run(tmp_path / "larger", x3d_config(search={"targets": ["9M"]}))
    half = made_up_run(tmp_path / "half", rounds=2, results_in_last=2)
    for second, told in (
        (other, "must have the same videos"),
        (params, "must have the same search.cost"),
        (larger, "must share a target, but they do not"),
        (half, "must be finished, but"),
    ):
        with pytest.raises(UserError) as caught:
            compare([four[0], read_run(second.folder)])
        assert told in str(caught.value)
    with pytest.raises(UserError, match="at least two runs, got 1"):
        compare(four[:1])


def test_candidates_that_fail_cost_nothing_that_is_known(tmp_path: Path, four: list[RunRecord]) -> None:
    record = read_run(made_up_run(tmp_path / "failing", score=failing("depth", "out of memory")).folder)
    compared = compare([record, four[0]])
    assert compared.entrants[0].climbs[0].found == record.targets[0].score
