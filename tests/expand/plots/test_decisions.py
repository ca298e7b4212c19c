"""What the figure of decisions says of each round, and that it can be read whatever the round was like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from expand.jobs.job import Job, Measurement, Result
from expand.plots import draw
from expand.plots.style import INK, look_of
from expand.run.record import RunRecord, read_run
from expand.search.base import Candidate
from expand.search.decision import Decision
from tests.expand.made_up import Score, better_with_cost, made_up_run, x3d_config
from tests.expand.plots.test_contents import marks
from tests.expand.plots.test_figures import Drawn, overlaps, words


def stuck(**seeds: int) -> Score:
    """Scores as usual, but so many of the first seeds of an axis learn nothing."""

    def score(round_number: int, candidate: Candidate, job: Job) -> Result:
        found = better_with_cost(round_number, candidate, job)
        if job.seed >= seeds.get(candidate.axis or "", 0):
            return found
        assert isinstance(found, Measurement)
        return replace(found, top1=0.08, score=0.08, train_loss=2.5, guess_loss=2.5)

    return score


@pytest.fixture(scope="module")
def partly(folder: Path) -> RunRecord:
    """One axis learns nothing, and one seed of another neither."""
    config = x3d_config(search={"targets": ["3M"], "seeds": 3})
    return read_run(made_up_run(folder / "partly", config, score=stuck(depth=3, fast=1)).folder)


def titles(record: RunRecord, drawn: Drawn) -> list[str]:
    """The titles of the panels of rounds."""
    found = [axes.get_title(loc="left") for axes in drawn("decisions", record).axes]
    return [title for title in found if title]


def verdict(record: RunRecord, one: Decision) -> str:
    assert one.belief is not None
    return f"round {one.round}: {one.verdict}, {one.belief.within:.0%} within 1 point"


def test_each_round_has_its_verdict_and_how_surely(
    long: RunRecord, short: RunRecord, grown: RunRecord, drawn: Drawn
) -> None:
    for record in (long, grown):
        assert titles(record, drawn) == [verdict(record, one) for one in record.decisions]
    assert {one.verdict for one in long.decisions} == {"clear", "tie"}
    assert titles(short, drawn) == ["round 1: one training each", "round 2: one training each"]
    said = words(drawn("decisions", short))
    assert "With one training of each candidate there is no telling how sure a decision is." in said
    assert "P(best)" not in said
    assert "Bars" not in said


def test_a_tie_is_not_said_to_be_as_sure_as_a_clear_round(long: RunRecord) -> None:
    one = next(one for one in long.decisions if one.verdict == "tie")
    assert one.beliefs is not None
    of = tuple(one and replace(one, within=0.8999) for one in one.beliefs.of)
    hair = replace(one, beliefs=replace(one.beliefs, of=of))
    said = words(draw("decisions", [replace(long, decisions=(hair,))]))
    assert f"round {one.round}: tie, <90% within 1 point" in said


def test_marks_are_where_the_true_score_is_expected_and_tell_who_was_chosen(
    long: RunRecord, drawn: Drawn
) -> None:
    found = marks(drawn("decisions", long), "decisions:")
    rows = {row.key: row for row in long.rounds}
    expected = {f"{one.round}-{name}" for one in long.decisions for name in one.names if one.belief_in(name)}
    assert found.keys() == expected
    for one in long.decisions:
        for name in one.names:
            if (belief := one.belief_in(name)) is None:
                continue
            mark, key = found[f"{one.round}-{name}"], f"{one.round}-{name}"
            assert isinstance(mark, Line2D)
            assert np.asarray(mark.get_xdata()) == pytest.approx(belief.mean)
            colour = look_of(rows[key].network, long).colour
            assert to_hex(str(mark.get_color())) == colour
            assert (mark.get_markeredgecolor() == INK) == (name == one.chosen)
            hollow = name in one.tied and name != one.chosen
            assert (mark.get_markerfacecolor() == "white") == hollow
            assert (mark.get_alpha() == 1.0) == (hollow or name == one.chosen)


def test_bars_are_as_long_as_the_probability_of_being_the_best(long: RunRecord, drawn: Drawn) -> None:
    found = marks(drawn("decisions", long), "decisions-best")
    said = words(drawn("decisions", long))
    for one in long.decisions:
        for name in one.names:
            if (belief := one.belief_in(name)) is not None:
                bar = found[f"{one.round}-{name}"]
                assert isinstance(bar, Rectangle)
                assert bar.get_width() == pytest.approx(belief.best)
                assert f"{belief.best:.0%}" in said
    assert said.count("% tied") == sum(max(0, len(one.tied) - 1) for one in long.decisions)
    assert said.count("failed") == len(long.decisions)  # the axis of depth


def test_every_training_is_a_dot_and_those_that_learned_nothing_are_crosses_in_the_panel(
    partly: RunRecord, drawn: Drawn
) -> None:
    figure = drawn("decisions", partly)
    dots, crosses = marks(figure, "decisions-seeds"), marks(figure, "decisions-stuck")
    for one in partly.decisions:
        for row in (row for row in partly.rounds if row.round == one.round):
            told = [got.score for got in row.seeds.measurements if got.learned]
            dot, cross = dots.get(row.key), crosses.get(row.key)
            assert (cross is None) == (len(told) == 3)
            assert (dot is None) == (not told)
            if isinstance(dot, Line2D):
                assert list(np.asarray(dot.get_xdata())) == told
            if isinstance(cross, Line2D):
                axes = cross.axes
                assert isinstance(axes, Axes)
                low, _ = axes.get_xlim()
                assert set(np.asarray(cross.get_xdata())) == {low}  # 8%, far from what was learned
                assert low > 0.1
    said = words(figure)
    assert said.count("learned nothing") == len(partly.decisions) + 1  # the axis of depth, and the caption
    assert overlaps(figure) == []


def test_a_round_that_learned_nothing_says_so(folder: Path) -> None:
    config = x3d_config(search={"targets": ["3M"], "seeds": 2})
    everything = stuck(fast=2, temporal=2, spatial=2, depth=2, width=2, bottleneck=2)
    record = read_run(made_up_run(folder / "blind", config, score=everything).folder)
    figure = draw("decisions", [record])
    said = words(figure)
    assert "round 1: nothing learned" in said
    assert said.count("learned nothing") == 6 + 1
    assert overlaps(figure) == []


def test_the_control_is_a_line(grown: RunRecord, long: RunRecord, drawn: Drawn) -> None:
    controls = [row.score for row in grown.measured if row.network.candidate == "control"]
    lines = [line for axes in drawn("decisions", grown).axes for line in axes.get_lines()]
    dashed = [float(np.asarray(line.get_xdata())[0]) for line in lines if line.get_linestyle() == "--"]
    assert set(controls) <= set(dashed)
    assert "Dashed line: the control." in words(drawn("decisions", grown))
    assert "the control" not in words(drawn("decisions", long))


def test_a_run_that_decided_nothing_says_so(half: RunRecord, drawn: Drawn) -> None:
    assert "No round is decided yet." in words(drawn("decisions", half))
    ended = replace(half, ended=True, finished=True)
    assert "No round decides between candidates." in words(draw("decisions", [ended]))


@pytest.mark.parametrize("margin", [0.0005, 0.05])
@pytest.mark.parametrize("axes", [("temporal", "width"), None])
def test_few_candidates_and_narrow_margins_can_be_read(
    folder: Path, axes: tuple[str, ...] | None, margin: float
) -> None:
    search = {"targets": ["6M"], "seeds": 3, "margin": margin} | ({"axes": list(axes)} if axes else {})
    name = f"margin-{margin}-{len(axes or ())}"
    record = read_run(made_up_run(folder / name, x3d_config(search=search), rounds=3).folder)
    figure = draw("decisions", [record])
    assert overlaps(figure) == []
    assert f"within {100 * margin:g} points" in words(figure)


class Longer:
    """An axis with a longer label."""

    def __init__(self, axis: object, label: str) -> None:
        self.axis, self.label = axis, label

    def __getattr__(self, name: str) -> object:
        return getattr(self.axis, name)


@pytest.mark.parametrize("length", [18, 40])
def test_long_names_and_eight_candidates_can_be_read(length: int, long: RunRecord) -> None:
    labels = {
        name: f"{axis.label} {'of my own kind ' * 3}"[:length] for name, axis in long.setup.axes.items()
    }
    axes = {name: Longer(axis, labels[name]) for name, axis in long.setup.axes.items()}
    rows, decided = list(long.rounds), []
    for one in long.decisions:
        assert one.beliefs is not None
        more = [
            row for row in long.rounds if row.round == one.round and row.network.axis in ("fast", "width")
        ]
        copies = [
            replace(row, network=replace(row.network, candidate=f"{row.network.candidate} again"))
            for row in more
        ]
        rows += copies
        of = one.beliefs.of + tuple(one.belief_in(row.network.candidate) for row in more)
        names = (*one.names, *(row.network.candidate for row in copies))
        decided.append(replace(one, names=names, beliefs=replace(one.beliefs, of=of)))
    record = replace(
        long,
        setup=replace(long.setup, axes=axes),  # type: ignore[arg-type]
        rounds=tuple(rows),
        decisions=tuple(decided),
    )
    figure = draw("decisions", [record])
    assert overlaps(figure) == []
    assert labels["temporal"].strip() in words(figure)
    columns = {round(one.get_position().x0, 2) for one in figure.axes}
    assert len(columns) == (4 if length == 18 else 2)
