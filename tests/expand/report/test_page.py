"""The page of a run: whole, alone, and safe to open whatever the data is called."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from expand.plots import KINDS
from expand.report.page import render, write_report
from expand.run.record import read_run
from expand.system.errors import UserError
from tests.expand.made_up import failing, made_up_run, without, x3d_config
from tests.expand.runs import CARD


class Page(HTMLParser):
    """What of a page the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(html)
        script = re.search(r'<script type="application/json" id="details">(.*?)</script>', html, re.DOTALL)
        assert script is not None
        self.details: dict[str, Any] = json.loads(script[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._in:
            while self._in.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "script" not in self._in and "style" not in self._in:
            self.text += data

    def marks(self) -> set[str]:
        found = (attrs for _, attrs in self.tags if "mark" in (attrs.get("class") or "").split())
        return {str(attrs["data-key"]) for attrs in found}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = x3d_config(search={"targets": ["6M"], "seeds": 2})
    return made_up_run(
        tmp_path_factory.mktemp("report") / "run", config, score=failing("depth", "out of memory")
    ).folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return render(read_run(folder))


@pytest.mark.slow
def test_the_page_has_every_figure_and_table(html: str) -> None:
    page = Page(html)
    figures = [attrs["id"] for tag, attrs in page.tags if tag == "figure"]
    assert figures == list(KINDS)
    assert sum(tag == "svg" for tag, _ in page.tags) == len(KINDS)
    for heading in ("Networks", "Rounds", "Trainings", "Configuration"):
        assert heading in page.text
    assert "step-1-temporal" in page.text
    assert "failed: out of memory" in page.text


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    loading = {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}
    for tag, attrs in page.tags:
        for name in loading & attrs.keys():
            assert str(attrs[name]).startswith("#"), f"{tag} {name}={attrs[name]}"
        assert tag not in ("link", "iframe", "object", "embed", "img", "base")
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_names_in_the_page_are_there_once_and_lead_somewhere(html: str) -> None:
    page = Page(html)
    names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(names) == len(set(names))
    led_to = {
        str(attrs[name])[1:] for _, attrs in page.tags for name in ("xlink:href", "href") if name in attrs
    }
    led_to |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert led_to <= set(names)


def test_every_mark_and_row_is_explained_with_its_exact_architecture(folder: Path, html: str) -> None:
    record, page = read_run(folder), Page(html)
    measured = {row.key for row in record.measured}
    assert measured <= page.marks() <= page.details.keys()
    rows = {row.key: row for row in record.rounds}
    one = page.details["1-temporal"]
    assert one["title"] == "round 1: X-Temporal"
    assert one["scores"]["MACs"] == f"{rows['1-temporal'].network.macs:,} a clip"
    assert one["scores"]["state"] == "accepted"
    assert one["factors"]["γt frames"] == "2 → 2"
    assert one["factors"]["γτ rate"] == "1.41421 → stride 34"
    assert one["architecture"] == [
        "frames 2, size 32, stem_width 24, conv5_width 192, head_width 2048",
        "stages 1: width 24, inner_width 24, squeeze_width 8, depth 1, shortcut_norm True",
        "stages 2: width 48, inner_width 48, squeeze_width 8, depth 2, shortcut_norm True",
        "stages 3: width 96, inner_width 96, squeeze_width 8, depth 5, shortcut_norm True",
        "stages 4: width 192, inner_width 192, squeeze_width 16, depth 3, shortcut_norm True",
    ]
    assert page.details["1-depth"]["scores"]["state"] == "failed: out of memory"


@pytest.mark.slow
def test_names_from_data_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
    card = replace(CARD, name=evil, classes=(evil, *CARD.classes[1:]))
    run = made_up_run(tmp_path / "run", card=without(card, evil), score=failing("depth", evil), rounds=2)
    html = render(read_run(run.folder))
    page = Page(html)
    assert sum(tag == "script" for tag, _ in page.tags) == 2  # the details, and the code
    assert not any(tag == "img" for tag, _ in page.tags)
    assert "alert(1)" in page.text
    assert page.details["1-depth"]["scores"]["state"] == f"failed: {evil}"


@pytest.mark.slow
def test_an_unfinished_run_says_so_first(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", rounds=2, results_in_last=2)
    page = Page(render(read_run(run.folder)))
    assert "run is unfinished: in round 1, 4 candidates to come." in page.text


def test_the_page_is_written_into_the_run_or_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_up_run(tmp_path / "run", rounds=1, results_in_last=0).folder
    assert write_report(folder) == folder / "report.html"
    page = (folder / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr("expand.report.page.render", lambda _: page)  # the same again
    elsewhere = tmp_path / "a" / "b.html"
    assert write_report(folder, elsewhere) == elsewhere
    assert elsewhere.read_text(encoding="utf-8") == page
    assert page.startswith("<!doctype html>")
    assert [path.name for path in elsewhere.parent.iterdir()] == ["b.html"]
    with pytest.raises(UserError) as caught:
        write_report(folder, elsewhere / "below" / "a.html")
    assert str(caught.value) == f"{elsewhere / 'below' / 'a.html'} cannot be written: Not a directory."
