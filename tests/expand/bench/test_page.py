from __future__ import annotations

import json
from pathlib import Path

import pytest

from expand.bench.harness import Comparison, Figures, Timing
from expand.bench.page import RESULTS, page, read
from expand.bench.show import conclusion, number, spread

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_results_give() -> None:
    """Made by: python -m expand.bench.page > docs/speed.md"""
    assert (ROOT / "docs" / "speed.md").read_text(encoding="utf-8") == page()


def test_the_results_are_of_commits() -> None:
    for path in RESULTS.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["machine"]["commit"].isalnum(), path.name


def test_figures_survive_their_file() -> None:
    timings = {"xpand": Timing.of([1.0, 2.0]), "plain": Timing.of([3.0])}
    figures = Figures(
        benchmark="step",
        unit="ms a training step",
        rows=[Comparison(name="X2D", timings=timings, baseline="plain", facts={"macs": 5})],
        settings={"rounds": 2},
        limit=10.0,
        notes=("gradients agree",),
    )
    assert read(json.loads(json.dumps(figures.to_json()))) == figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(12_345.6, "12,300"), (1234.5, "1,230"), (97.25, "97.2"), (100.0, "100"), (0.01234, "0.0123")],
)
def test_three_digits_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_spread_that_cannot_be_told_is_one_number() -> None:
    assert spread(Timing.of([1.0, 1.001])) == "1.00"
    assert spread(Timing.of([1.0, 1.5])) == "1.00 … 1.50"


def test_the_conclusion_names_each_other_way_and_the_limit() -> None:
    timings = {"xpand": Timing.of([2.0]), "plain": Timing.of([6.0]), "peer": Timing.of([8.0])}
    row = Comparison(name="X2D", timings=timings, baseline="plain")
    figures = Figures(benchmark="step", unit="ms a step", rows=[row, row], limit=1.0, notes=["and more"])
    assert list(conclusion(figures)) == [
        "xpand is 3.00 times as fast as plain, geometric mean",
        "xpand is 4.00 times as fast as peer, geometric mean",
        "limit 1.00 ms a step: exceeded",
        "and more",
    ]
