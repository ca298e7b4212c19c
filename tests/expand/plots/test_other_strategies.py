"""Figures of other strategies than progressive expansion, and of other costs than multiply-adds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from expand.plots import KINDS, Kind, draw
from expand.run.record import RunRecord, read_run
from tests.expand.made_up import made_up_run, x3d_config
from tests.expand.plots.test_figures import Drawn, overlaps, words
from tests.expand.profiles import PROFILE


@pytest.fixture(scope="module")
def at_random(folder: Path) -> RunRecord:
    """Four networks drawn at random for each of two targets in activations."""
    search = {
        "targets": ["200Kact", "400Kact"],
        "strategy": "random",
        "settings": {"networks": 4},
        "seeds": 2,
    }
    return read_run(made_up_run(folder / "at-random", x3d_config(search=search)).folder)


@pytest.fixture(scope="module")
def to_latency(folder: Path) -> RunRecord:
    """A search to a predicted latency, within a limit of weights."""
    search = {"targets": ["5ms"], "at_most": ["2Mparams"], "profile": PROFILE}
    return read_run(made_up_run(folder / "to-latency", x3d_config(search=search)).folder)


@pytest.fixture(scope="module")
def saturated(folder: Path) -> RunRecord:
    """Three rounds along two axes, one of which takes no step of the last."""
    search = {"targets": ["40M"], "axes": ["spatial", "temporal"]}
    return read_run(made_up_run(folder / "saturated", x3d_config(search=search), rounds=4).folder)


def legend_of(figure: Figure) -> list[str]:
    inside = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]
    (legend,) = [*figure.legends, *inside]
    return [text.get_text() for text in legend.get_texts()]


def test_legends_have_what_the_strategy_did_and_nothing_else(
    at_random: RunRecord, short: RunRecord, drawn: Drawn
) -> None:
    assert legend_of(drawn("trace", at_random)) == ["random", "not accepted", "best within a target"]
    assert legend_of(drawn("frontier", at_random)) == ["random"]
    assert legend_of(drawn("timeline", at_random)) == ["random"]
    axes = [axis.label for axis in short.setup.axes.values()]
    assert legend_of(drawn("trace", short)) == [*axes, "accepted", "not accepted", "contracted to a target"]
    assert legend_of(drawn("frontier", short)) == ["X2D", *axes]
    assert legend_of(drawn("timeline", short)) == ["X2D", *axes]


def test_a_search_to_a_latency_is_drawn_against_it(to_latency: RunRecord, drawn: Drawn) -> None:
    trace = drawn("trace", to_latency)
    assert trace.axes[0].get_xlabel() == "predicted latency"
    said = words(trace)
    assert "target 5ms" in said
    assert "Latency: as predicted for torch on cpu, 1 thread (xpand profile)." in said
    assert "ms" in words(drawn("rounds", to_latency))


def test_searches_to_a_latency_and_to_multiply_adds_are_compared_at_equal_latency(
    to_latency: RunRecord, short: RunRecord
) -> None:
    figure = draw("frontier", [to_latency, short])
    first, *others = [axes for axes in figure.axes if axes.get_xlabel()]
    assert first.get_xlabel() == "predicted latency, torch on cpu, 1 thread"
    assert "multiply-adds per clip" in {axes.get_xlabel() for axes in others}
    cost = to_latency.setup.cost
    most = max(
        cost.value(short.setup.space, row.network.point, len(short.data.classes)) for row in short.measured
    )
    assert max(point for line in first.get_lines() for point in np.atleast_1d(line.get_xdata())) >= most


def test_figures_name_what_the_targets_limit(at_random: RunRecord, drawn: Drawn) -> None:
    kinds: tuple[Kind, ...] = ("trace", "rounds")
    for kind in kinds:
        said = words(drawn(kind, at_random))
        assert "Activations: elements of the outputs of convolutions and linear layers for one clip." in said
        for absent in ("MACs", "the network that was grown", "X2D"):
            assert absent not in said
    said = words(drawn("rounds", at_random))
    assert "What each candidate gave: at-random" in said
    assert "round 1: random" in said
    assert "Right of each score: the activations." in said
    assert "Search trace: at-random" in words(drawn("trace", at_random))
    assert "Factors of the networks found: at-random" in words(drawn("factors", at_random))


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_texts_cover_each_other(kind: Kind, at_random: RunRecord, drawn: Drawn) -> None:
    assert overlaps(drawn(kind, at_random)) == []


def test_rounds_that_grow_along_axes_may_have_any_word_for_their_kind(saturated: RunRecord) -> None:
    record = saturated
    config = record.config.model_copy(
        update={"search": record.config.search.model_copy(update={"strategy": "own:Mine"})}
    )
    other = replace(
        record,
        setup=replace(record.setup, config=config),
        rounds=tuple(
            replace(row, kind="growth") if row.kind == "expansion" else row for row in record.rounds
        ),
        ungrown=tuple(replace(row, kind="growth") for row in record.ungrown),
    )
    said, before = words(draw("rounds", [other])), words(draw("rounds", [record]))
    assert "saturated: no step within 2×" in before
    assert said == before.replace("saturated: no step within 2×", "saturated: no step within the cost")


def test_a_candidate_of_no_axis_has_its_own_name(short: RunRecord) -> None:
    first = short.path[1]
    named = replace(first, network=replace(first.network, candidate="a draw", axis=None))
    trajectory = tuple(named if row is first else row for row in short.trajectory)
    other = replace(short, trajectory=trajectory)
    kinds: tuple[Kind, ...] = ("trace", "factors")
    for kind in kinds:
        said = words(draw(kind, [other]))
        assert "a draw" in said
        assert said.count("X2D") == 1


def test_the_frontier_has_a_panel_of_a_cost_of_ones_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "docs" / "examples")
    search = {"cost": "own_parts:Memory", "targets": [3_000_000]}
    record = read_run(made_up_run(folder / "own-cost", x3d_config(search=search)).folder)
    figure = draw("frontier", [record])
    first = figure.axes[1]
    assert first.get_xlabel() == "bytes"
    drawn = {float(np.asarray(line.get_xdata())[0]) for line in first.get_lines() if line.get_gid()}
    assert drawn == {float(row.network.cost) for row in record.measured}
    assert overlaps(figure) == []
