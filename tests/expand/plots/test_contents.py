"""What the marks of each figure stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from expand.jobs.job import Attempt
from expand.plots import Kind
from expand.plots.frontier import pareto
from expand.plots.scales import _ticks
from expand.plots.timeline import lay_out
from expand.run.record import RunRecord
from expand.run.rows import AttemptRow, CandidateRow, Network, SeedScores
from search_spaces.base import ClipSampling
from search_spaces.x3d import published
from search_spaces.x3d.accuracies import KINETICS_400
from tests.expand.plots.test_figures import Drawn, words


def marks(figure: Figure, prefix: str) -> dict[str, Artist]:
    """The marks of a figure by their candidate."""

    def found() -> Iterator[tuple[str, Artist]]:
        for artist in figure.findobj(lambda one: str(one.get_gid()).startswith(f"mark:{prefix}")):
            yield str(artist.get_gid()).rsplit(":", 1)[1], artist

    return dict(found())


def test_the_trace_has_a_mark_for_each_measured_candidate(long: RunRecord, drawn: Drawn) -> None:
    measured = {row.key for row in long.measured}
    found = marks(drawn("trace", long), "trace")
    assert found.keys() == measured
    for row in long.measured:
        mark = found[row.key]
        assert isinstance(mark, Line2D)
        assert mark.get_xydata()[-1] == pytest.approx((row.network.macs, row.score))  # type: ignore[index]
        accepted_or_tied = row.accepted or mark.get_markerfacecolor() == "white"
        assert (mark.get_alpha() or 1.0) == (1.0 if accepted_or_tied else 0.5)


def test_the_trace_forks_at_ties(long: RunRecord, short: RunRecord, drawn: Drawn) -> None:
    found = marks(drawn("trace", long), "trace")
    tied = {
        f"{one.round}-{name}": one.round for one in long.decisions for name in one.tied if name != one.chosen
    }
    hollow = {
        key
        for key, mark in found.items()
        if isinstance(mark, Line2D) and mark.get_markerfacecolor() == "white" and mark.get_marker() != "D"
    }
    assert hollow == tied.keys()
    lines = [line.get_xydata() for line in drawn("trace", long).axes[0].get_lines()]
    scores = {row.key: (row.network.cost, row.score) for row in long.measured}
    for key, number in tied.items():
        (state,) = (row for row in long.path if row.step == number - 1)
        step = np.array([(state.network.cost, state.score), scores[key]])
        assert any(line.shape == step.shape and np.allclose(line, step) for line in lines)  # type: ignore[union-attr]
    said = words(drawn("trace", long))
    assert "or X-Fast" in said
    assert "or 3 others" in said
    assert said.count("tied with the accepted") == 2  # the legend, and the caption
    assert "tied" not in words(drawn("trace", short))


def test_the_trace_has_axes_in_the_colours_of_the_concept_figure(short: RunRecord, drawn: Drawn) -> None:
    found = marks(drawn("trace", short), "trace")
    colours = {name: found[f"1-{name}"].get_color() for name in short.setup.axes}  # type: ignore[attr-defined]
    assert {name: to_hex(colour) for name, colour in colours.items()} == {
        "fast": "#669f3c",
        "temporal": "#05aaba",
        "spatial": "#3c67ae",
        "depth": "#814b2c",
        "width": "#700fc4",
        "bottleneck": "#8f0b67",
    }


def test_the_trace_names_each_expansion_and_target(long: RunRecord, drawn: Drawn) -> None:
    said = words(drawn("trace", long))
    steps = [axis for row in long.path if (axis := row.network.axis)]
    for axis in set(steps):
        label = long.setup.axes[axis].label
        named = 1 + steps.count(axis)  # once more in the legend
        assert said.count(label) == named
    assert "X2D, 1×48, 32²" in said
    assert all(f"target {target}" in said for target in ("6M", "40M", "200M"))
    assert "Dotted line: always naming the most frequent class, 8.3%." in said


def test_error_bars_are_there_with_several_seeds_only(
    long: RunRecord, short: RunRecord, drawn: Drawn
) -> None:
    assert drawn("trace", long).axes[0].containers
    assert not drawn("trace", short).axes[0].containers
    assert "error bars: ± one standard deviation" in words(drawn("trace", long))
    assert "error bars" not in words(drawn("trace", short))


def test_rounds_say_what_failed_and_what_is_saturated(long: RunRecord, drawn: Drawn) -> None:
    said = words(drawn("rounds", long))
    assert said.count("failed: the training loss is nan") == 8
    assert said.count("saturated: no step within 2×") == 7  # the size, after its one step
    assert "round 9: contraction" in said


def test_rounds_have_a_bar_for_each_score_and_its_cost_beside_it(long: RunRecord, drawn: Drawn) -> None:
    found = marks(drawn("rounds", long), "rounds")
    rows = {row.key: row for row in long.measured if row.round > 0}
    assert found.keys() == rows.keys()
    for key, bar in found.items():
        assert isinstance(bar, Rectangle)
        assert bar.get_width() == pytest.approx(rows[key].score)
    assert "12.5 M" in words(drawn("rounds", long))


def test_factors_show_the_whole_numbers_that_they_became(long: RunRecord, drawn: Drawn) -> None:
    said = words(drawn("factors", long))
    for text in ("γt frames", "γτ rate", "γs size", "γw width", "γb bottleneck", "γd depth"):
        assert text in said
    assert "24, 48, 96, 192" in said
    assert "1, 2, 5, 3" in said
    assert "stride 34" in said


def test_the_frontier_keeps_published_networks_apart(short: RunRecord, drawn: Drawn) -> None:
    _, *measured, ten, thirty = drawn("frontier", short).axes
    assert [axes.get_title(loc="left") for axes in (ten, thirty)] == [
        "published: Kinetics-400, 10 views",
        "published: Kinetics-400, 30 views",
    ]
    highest = max(line.get_ydata().max() for axes in measured for line in axes.get_lines())  # type: ignore[union-attr]
    assert highest == max(row.score for row in short.measured)
    labels = {axes.get_xlabel() for axes in measured}
    assert labels == {"multiply-adds per clip", "parameters", "activations per clip", "latency of one clip"}


def test_published_accuracies_are_of_published_networks() -> None:
    for name in KINETICS_400:
        assert published(name).name == name


def candidate(macs: int, score: float) -> CandidateRow:
    """A candidate of which only the cost and the score matter."""
    clips = ClipSampling(frames=1, stride=1, size=32)
    network = Network(
        candidate="one", axis=None, point=None, factors={}, clips=clips,
        macs=macs, params=1, activations=1, cost=macs,
    )  # fmt: skip
    return CandidateRow(
        round=1, network=network, state="done", reason=None, kind="expansion", accepted=False,
        seeds=SeedScores(measurements=(), mean=score),
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=30))
def test_the_front_holds_those_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    rows = [candidate(macs, top1) for macs, top1 in points]
    front = [(row.network.macs, row.score) for row in pareto(rows, lambda row: row.network.macs)]
    beaten = {
        point
        for point in points
        if any(other[0] <= point[0] and other[1] >= point[1] and other != point for other in points)
    }
    assert set(front) == set(points) - beaten
    assert front == sorted(front)


@given(st.floats(1e-4, 1e11), st.floats(1.2, 1e4))
def test_ticks_lie_in_the_axis_and_apart(low: float, span: float) -> None:
    high = low * span
    ticks = _ticks(low, high, 0.14)
    assert all(low <= tick <= high for tick in ticks)
    gaps = [math.log(b / a) / math.log(span) for a, b in pairwise(ticks)]
    assert len(ticks) < 2 or min(gaps) >= 0.14 or span >= 10 ** (1 / 0.14)


def row(process: int, started: float, seconds: float | None, host: str = "a") -> AttemptRow:
    attempt = Attempt(host=host, process=process, started=started, seconds=seconds)
    return AttemptRow(round=1, candidate="one", axis=None, seed=0, job="", state="done", attempt=attempt)


def test_a_worker_has_a_lane_and_its_successor_takes_it() -> None:
    rows = [row(1, 0, 10), row(2, 0, 8), row(3, 9, 5), row(1, 10, 5), row(9, 3, 4, host="b")]
    bars, resumed, lanes = lay_out(rows, [0.0])
    assert lanes == ["a 1", "a 2", "b 1"]
    assert {(bar.row.attempt.process, bar.lane) for bar in bars} == {(1, 0), (2, 1), (3, 1), (9, 2)}
    assert resumed == []


def test_a_long_pause_before_a_driver_went_on_is_cut_down() -> None:
    rows = [row(1, 100, 10), row(2, 5_000, 10)]
    bars, resumed, lanes = lay_out(rows, [99.0, 4_990.0])
    assert [(bar.begin, bar.end) for bar in bars] == [(0, 10), (70, 80)]
    assert resumed == [70]
    assert lanes == ["a 1"]


def test_a_pause_counts_once_where_a_driver_in_it_trained_nothing() -> None:
    rows = [row(1, 100, 10), row(2, 5_000, 10)]
    bars, resumed, _ = lay_out(rows, [99.0, 3_000.0, 4_990.0])
    assert [(bar.begin, bar.end) for bar in bars] == [(0, 10), (70, 80)]
    assert resumed == [70]


def test_what_still_runs_lasts_to_the_last_that_is_known() -> None:
    bars, _, _ = lay_out([row(1, 0, None), row(2, 0, 30)], [0.0])
    assert [(bar.begin, bar.end) for bar in bars] == [(0, 30), (0, 30)]


def test_the_timeline_marks_failures_restarts_and_attempts_that_were_cut_off(
    long: RunRecord, drawn: Drawn
) -> None:
    said = words(drawn("timeline", long))
    assert "134 trainings, 20 min 7 s of workers' time in all, 7 s of it cut off; 24 failed." in said
    assert "went on" in said
    assert "pauses cut down to one minute" in said
    assert len(long.attempts) == len(long.trials) + 2
    assert sum(attempt.state == "cut off" for attempt in long.attempts) == 2


def test_rounds_of_growth_have_their_control_and_the_points_above_it(grown: RunRecord, drawn: Drawn) -> None:
    said = words(drawn("rounds", grown))
    for row in grown.measured:
        if row.gain is not None:
            assert f"{row.score:.1%} {100 * row.gain:+.1f}" in said
    assert said.count("control") == 3 + 1  # a bar in each round of growth, and the caption
    controls = {row.round: row.score for row in grown.measured if row.network.candidate == "control"}
    lines = [line for axes in drawn("rounds", grown).axes for line in axes.get_lines()]
    dashed = [float(np.asarray(line.get_xdata())[0]) for line in lines if line.get_linestyle() == "--"]
    assert dashed == pytest.approx(list(controls.values()))


def test_a_control_has_a_look_of_its_own(grown: RunRecord, drawn: Drawn) -> None:
    kinds: tuple[Kind, ...] = ("trace", "frontier", "timeline")
    for kind in kinds:
        assert "control" in words(drawn(kind, grown))
