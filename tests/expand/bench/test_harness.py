from __future__ import annotations

import pytest

from expand.bench.harness import Comparison, Figures, Timing, alternate
from expand.system.machine import describe_machine


def row(name: str, xpand: float, plain: float) -> Comparison:
    timings = {"xpand": Timing.of([xpand, 2 * xpand, 9 * xpand]), "plain": Timing.of([plain])}
    return Comparison(name=name, timings=timings, baseline="plain", facts={"macs": 7})


def test_calls_take_turns() -> None:
    made: list[str] = []
    timings = alternate(
        {"a": lambda: made.append("a"), "b": lambda: made.append("b")}, rounds=2, warm_up=1, repeats={"b": 3}
    )
    assert "".join(made) == "abbb" * 3
    assert list(timings) == ["a", "b"]
    for timing in timings.values():
        assert 0 < timing.fastest <= timing.median <= timing.slowest


def test_figures_say_all_that_was_measured() -> None:
    figures = Figures(
        benchmark="step", unit="ms", rows=[row("x", 1.0, 2.0), row("y", 1.0, 8.0)], settings={"rounds": 3}
    )
    assert figures.ratio == pytest.approx(4.0)
    values = figures.to_json()
    assert values["command"] == "xpand bench step --rounds 3"
    assert values["ratio"] == figures.ratio
    assert values["baseline"] == "plain"
    assert values["rows"][0] == {
        "name": "x",
        "macs": 7,
        "xpand": {"fastest": 1.0, "median": 2.0, "slowest": 9.0},
        "plain": {"fastest": 2.0, "median": 2.0, "slowest": 2.0},
        "ratio": 2.0,
    }
    assert values["machine"] == describe_machine()
    assert values["machine"]["cores"] >= 1


def test_an_option_given_twice_is_there_twice() -> None:
    figures = Figures(benchmark="search", unit="s", rows=[], settings={"rounds": 1, "set": ["a=1", "b=2"]})
    assert figures.command == "xpand bench search --rounds 1 --set a=1 --set b=2"
