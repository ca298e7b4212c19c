"""A run's tables in formats for other programs."""

from __future__ import annotations

from tests.expand.commands import ROOT, Xpand, refused

RUN = ROOT / "results" / "reference" / "motion"


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines()]


def test_markdown_has_the_columns_of_the_text(xpand: Xpand) -> None:
    headings, ruler, first, *_ = rows(xpand("table", RUN, "--format", "markdown").stdout)
    assert headings == ["model", "MACs", "params", "clip", "top-1", "± seeds", "fresh seeds", "mean class"]
    assert ruler == ["---", "---:", "---:", "---", *["---:"] * 4]
    assert first == ["step-0", "7.043 M", "834.5 K", "2×34, 40²", "19.2%", "6.0%", "", "14.3%"]


def test_all_columns_of_markdown_are_those_of_csv(xpand: Xpand) -> None:
    for what in ("trajectory", "rounds", "decisions", "stability", "trials"):
        csv = xpand("table", RUN, "--what", what, "--format", "csv").stdout.splitlines()
        markdown = rows(xpand("table", RUN, "--what", what, "--format", "markdown", "--all").stdout)
        assert markdown[0] == csv[0].split(",")
        assert len(markdown) == len(csv) + 1


def test_all_columns_are_for_markdown(xpand: Xpand) -> None:
    assert refused(xpand("table", RUN, "--all")) == (
        "error: --all must come with --format markdown, got text, which has what fits a terminal: "
        "leave it out."
    )
    assert refused(xpand("table", RUN, "--all", "--format", "csv")) == (
        "error: --all must come with --format markdown, got csv, which always has all columns: leave it out."
    )
