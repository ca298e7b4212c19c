"""Every kind of figure, on every kind of run: what it says, and that it can be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from expand.plots import FORMATS, KINDS, Kind, draw, write_figures
from expand.plots.figures import to_bytes
from expand.run.record import RunRecord, read_run
from expand.system.errors import UserError
from search_spaces.base import Json
from tests.expand.made_up import made_up_run, x3d_config
from tests.expand.runs import CARD
from tests.expand.toy import Point, ToySpace


class NamedSpace(ToySpace):
    """A space one of whose factors is a word."""

    def describe(self, point: Point) -> dict[str, str]:
        return {**super().describe(point), "kind": "plain"}

    def point_to_json(self, point: Point) -> Json:
        return {**super().point_to_json(point), "kind": "plain"}

    def point_from_json(self, values: Json) -> Point:
        return super().point_from_json({name: values[name] for name in values if name != "kind"})


Drawn = Callable[[Kind, RunRecord], Figure]
RUNS = ["short", "long", "half", "nothing", "stopped"]


class Seen(NamedTuple):
    """The texts that a reader sees, and their boxes (N, 4) in pixels: left, bottom, right, top."""

    texts: list[str]
    boxes: NDArray[np.float64]


@lru_cache(maxsize=64)  # a figure is laid out once, though several tests look at it
def seen(figure: Figure) -> Seen:
    figure.draw_without_rendering()
    beyond = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    found = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    shown = [text for text in found if text.get_visible() and text not in beyond and text.get_text().strip()]
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    boxes = [Text.get_window_extent(text, renderer).extents for text in shown]
    return Seen([text.get_text() for text in shown], np.array(boxes).reshape(-1, 4))


def words(figure: Figure) -> str:
    """All that a figure says, in one line."""
    return " ".join(" ".join(text.split()) for text in seen(figure).texts)


def within(boxes: NDArray[np.float64], figure: Figure) -> NDArray[np.bool_]:
    """Which boxes lie in the figure, or partly."""
    (left, bottom), (right, top) = figure.bbox.min, figure.bbox.max
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    return (x[:, 0] <= right) & (x[:, 1] >= left) & (y[:, 0] <= top) & (y[:, 1] >= bottom)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts that cover each other by more than a hair."""
    texts, boxes = seen(figure)
    shown = np.flatnonzero(within(boxes, figure) & (boxes[:, 2] > boxes[:, 0]))
    boxes = boxes[shown]
    shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], boxes[None, :, :2]
    )
    pairs = np.argwhere(np.triu(shared.min(axis=2) > 1.0, k=1))
    return [(texts[shown[one]], texts[shown[other]]) for one, other in pairs]


def test_texts_that_cover_each_other_are_found() -> None:
    figure = Figure(figsize=(4, 4), dpi=100)
    for x, y, text in (
        (0.1, 0.1, "below"),
        (0.15, 0.11, "above"),
        (0.5, 0.5, "alone"),
        (2.0, 2.0, "outside"),
    ):
        figure.text(x, y, text)
    figure.text(2.0, 2.0, "outside too")
    assert overlaps(figure) == [("below", "above")]
    assert words(figure) == "below above alone outside outside too"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RUNS)
def test_no_two_texts_of_a_figure_cover_each_other(
    kind: Kind, name: str, drawn: Drawn, request: pytest.FixtureRequest
) -> None:
    assert overlaps(drawn(kind, request.getfixturevalue(name))) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RUNS)
def test_nothing_of_a_figure_is_cut_off(
    kind: Kind, name: str, drawn: Drawn, request: pytest.FixtureRequest
) -> None:
    figure = drawn(kind, request.getfixturevalue(name))
    texts, boxes = seen(figure)
    inside = np.all((boxes[:, :2] > -2) & (boxes[:, 2:] < np.add(figure.bbox.max, 2)), axis=1)
    assert [texts[one] for one in np.flatnonzero(within(boxes, figure) & ~inside)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_what_it_shows(kind: Kind, long: RunRecord, drawn: Drawn) -> None:
    said = words(drawn(kind, long))
    assert "long" in said
    assert "Data: synthetic, 24 training and 12 validation videos, 12 classes." in said
    assert "Each candidate trained for 8 epochs, validated with 1 centre clip a video." in said
    if kind in ("trace", "rounds", "frontier"):
        assert "Top-1 on validation, mean of 3 seeds" in said
        assert "MACs: multiply-adds of convolutions and linear layers for one clip (one view)." in said


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfinished_run_is_said_to_be_unfinished(kind: Kind, half: RunRecord, drawn: Drawn) -> None:
    said = words(drawn(kind, half))
    assert "(unfinished)" in said
    assert "half is unfinished: in round 1, 4 candidates to come." in said
    if kind != "decisions":  # of which there are none yet
        assert "Validation has no video of c." in said


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("trace", "No candidate has a score yet."),
        ("rounds", "No round is over yet."),
        ("decisions", "No round is decided yet."),
        ("factors", "No network is accepted yet."),
        ("frontier", "No candidate has a score yet."),
    ],
)
def test_a_run_without_a_score_says_so(
    kind: Kind, message: str, nothing: RunRecord, stopped: RunRecord, drawn: Drawn
) -> None:
    assert f"{message} nothing is unfinished: in round 0, 1 candidate to come." in words(drawn(kind, nothing))
    why = "every candidate of round 0 failed: start: out of memory."
    assert f"{message} stopped is unfinished: {why}" in words(drawn(kind, stopped))


def test_a_run_that_trained_nothing_has_no_timeline(nothing: RunRecord, drawn: Drawn) -> None:
    assert "Nothing was trained yet." in words(drawn("timeline", nothing))


def test_figures_are_as_wide_as_a_page_at_300_dots_an_inch(short: RunRecord, drawn: Drawn) -> None:
    png = to_bytes(drawn("trace", short), "png")
    width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
    assert (width, height) == (2100, 1320)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_run_gives_the_same_bytes(form: str, short: RunRecord) -> None:
    first, second = (to_bytes(draw("trace", [short]), form) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_files_of_every_kind_and_format_are_written(short: RunRecord, tmp_path: Path) -> None:
    written = write_figures([short.folder], tmp_path / "figures")
    names = {f"{kind}.{form}" for kind in KINDS for form in FORMATS}
    assert {path.name for path in written} == names
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF-"}
    assert all(path.read_bytes().startswith(starts[path.suffix[1:]]) for path in written)


@pytest.mark.slow
def test_several_runs_share_one_figure(short: RunRecord, long: RunRecord, tmp_path: Path) -> None:
    written = write_figures([short.folder, long.folder], tmp_path)
    assert sorted(path.name for path in written) == ["frontier.pdf", "frontier.png", "frontier.svg"]
    said = words(draw("frontier", [short, long]))
    assert "Frontier: 2 runs" in said
    assert "Top-1 on validation, one seed. Top-1 on validation, mean of 3 seeds." in said
    with pytest.raises(UserError) as caught:
        draw("trace", [short, long])
    assert (
        str(caught.value)
        == "several runs share only the figures frontier and comparison, got trace: draw it of each run."
    )


def test_runs_on_different_data_share_no_figure(short: RunRecord, tmp_path: Path) -> None:
    other = made_up_run(tmp_path / "other", card=replace(CARD, name="mine", checksum="1" * 64))
    with pytest.raises(UserError) as caught:
        write_figures([short.folder, other.folder], tmp_path / "figures")
    assert str(caught.value) == (
        f"runs in one figure must share their videos, but {short.folder} has synthetic (checksum "
        f"000000000000) and {other.folder} mine (checksum 111111111111): plot each on its own."
    )
    assert not (tmp_path / "figures").exists()


def test_runs_that_other_objectives_decide_share_no_figure(short: RunRecord, tmp_path: Path) -> None:
    other = made_up_run(tmp_path / "other", x3d_config(search={"objective": "mAP"}), rounds=1)
    with pytest.raises(UserError) as caught:
        write_figures([short.folder, other.folder], tmp_path / "figures")
    assert str(caught.value) == (
        f"runs in one figure must have one search.objective, but {short.folder} has top1 and {other.folder} "
        "mAP: plot each on its own."
    )


def test_an_unknown_kind_is_refused(short: RunRecord) -> None:
    with pytest.raises(UserError) as caught:
        draw("pie", [short])  # type: ignore[arg-type]
    assert str(caught.value) == (
        "a figure must be one of trace, rounds, decisions, factors, frontier, timeline, comparison, "
        "got 'pie'."
    )


def test_a_folder_that_cannot_be_written_is_named(nothing: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        write_figures([nothing.folder], tmp_path / "file" / "figures")
    assert str(caught.value) == f"{tmp_path / 'file' / 'figures'} cannot be written: Not a directory."


@pytest.mark.slow
def test_axes_and_spaces_of_ones_own_are_drawn_too(tmp_path: Path) -> None:
    config = x3d_config(
        space={"name": "tests.expand.toy:ToySpace", "settings": {}},
        search={"axes": ["frames", "width", "tests.expand.toy:Both"], "targets": [4_000], "seeds": 2},
    )
    record = read_run(made_up_run(tmp_path / "own", config).folder)
    for kind in KINDS:
        figure = draw(kind, [record])
        assert overlaps(figure) == []
        if kind == "trace":
            assert "X-Frames" in words(figure)
            assert "X-Both" not in words(figure)  # saturated in every round, so no network is measured
            assert "X2D" not in words(figure)
        if kind == "rounds":
            assert "X-Both" in words(figure)
        if kind == "frontier":
            assert "published" not in words(figure)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # of the test's own drawing
def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    name = "cost $5 of {x}_$y \\frac 动作"
    record = read_run(made_up_run(tmp_path / "a $b$", card=replace(CARD, name=name)).folder)
    for kind in KINDS:
        figure = draw(kind, [record])
        assert name in words(figure)
    assert to_bytes(figure, "pdf")  # which takes letters from a font


def test_a_factor_that_is_a_word_has_no_panel(tmp_path: Path) -> None:
    space = {"name": "tests.expand.plots.test_figures:NamedSpace", "settings": {}}
    config = x3d_config(space=space, search={"targets": [4_000]})
    record = read_run(made_up_run(tmp_path / "named", config).folder)
    labels = [axes.get_ylabel() for axes in draw("factors", [record]).axes]
    assert labels == ["frames", "width", "size"]
