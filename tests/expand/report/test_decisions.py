"""How sure a search is, as its tables and its page say it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

import expand
from expand.report.page import render
from expand.report.sheets import decisions_sheet, stability_sheet, verdict_of
from expand.report.tables import write_table
from expand.report.terminal import path_words
from expand.run.record import RunRecord, read_run
from expand.search.base import Candidate
from expand.search.decision import Belief, Beliefs, Decision, Noise
from expand.search.stability import AxisSequence, NetworkShare, SequenceShare, Stability
from tests.expand.made_up import made_up_run, x3d_config

SURE = Belief(mean=0.6, deviation=0.01, best=0.95, within=0.99, regret=0.001, again=0.9)
HALF = Belief(mean=0.6, deviation=0.01, best=0.5, within=0.8, regret=0.004, again=0.5)


def decision(number: int, verdict: str, *of: Belief | None, **more: object) -> Decision:
    names = ("fast", "depth", "width")[: len(of)]
    beliefs = Beliefs(of=of, leader=0, noise=Noise()) if any(of) else None
    return Decision(round=number, names=names, chosen="fast", verdict=verdict, beliefs=beliefs, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A race of two to four seeds in two rounds, and a third with a target."""
    config = x3d_config(search={"targets": ["6M"], "seeds": "2-4"})
    return read_run(made_up_run(tmp_path_factory.mktemp("race") / "race", config).folder)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return read_run(made_up_run(tmp_path_factory.mktemp("single") / "single").folder)


def test_verdicts_in_words() -> None:
    assert verdict_of(decision(1, "clear", SURE, HALF)) == "clear"
    assert verdict_of(decision(1, "tie", HALF, HALF, tied=("fast", "depth"))) == "tie with depth"
    assert verdict_of(decision(1, "unknown", None, None)) == "one training each"
    assert verdict_of(decision(1, "blind", None, blind=("fast",))) == "nothing learned"
    assert verdict_of(decision(1, "clear", SURE, None, blind=("depth",))) == "clear; depth not measurable"


def test_the_whole_path_is_as_sure_as_all_decisions_together() -> None:
    path = [decision(1, "clear", SURE), decision(2, "tie", HALF, HALF)]
    assert path_words(path) == (
        "P that all 2 decisions took the best axis: 48%; that none is off by more than the margin: 79%. "
        "(docs/decisions.md says what this means.)"
    )
    assert path_words([*path, decision(3, "unknown", None)]).startswith("P that these 2 decisions")


def test_how_often_another_search_finds_the_same() -> None:
    own = SequenceShare(sequence=AxisSequence(axes=("fast",), end="whole"), share=0.614, own=True)
    start = Candidate(name="start", axis=None, point=None, macs=1, cost=1)
    networks = {
        "target-20M": (NetworkShare(candidate=start, share=0.85, own=True),),
        "target-45M": (
            NetworkShare(candidate=start, share=0.7, own=True),
            NetworkShare(candidate=None, share=0.3, own=False),
        ),
    }
    stability = Stability(replays=1_000, sequences=(own,), networks=networks)
    assert path_words([decision(1, "clear", SURE)], stability).endswith(
        "margin: 99%. Searched again, with other seeds and videos, the same sequence of axes comes out in 61 "
        "of 100 cases, the same network for target-20M in 85 and for target-45M in 70. (docs/decisions.md "
        "says what this means.)"
    )


def test_every_round_has_a_decision(record: RunRecord) -> None:
    numbers = [row.round for row in record.rounds if row.kind == "expansion"]
    assert [one.round for one in record.decisions] == sorted(set(numbers))
    assert [one.chosen for one in record.decisions] == [row.network.candidate for row in record.path[1:]]
    for one in record.decisions:
        trained = [row for row in record.trials if row.round == one.round]
        assert one.trainings == len(trained)
        assert one.belief is not None
        assert (one.settling is None) == (one.verdict != "tie")


def test_the_table_in_every_form(record: RunRecord, tmp_path: Path) -> None:
    printed = io.StringIO()
    write_table(record.folder, "decisions", "csv", None, Console(file=printed))
    rows = list(csv.DictReader(io.StringIO(printed.getvalue())))
    assert [row["chosen"] for row in rows] == [one.chosen for one in record.decisions]
    for row, one in zip(rows, record.decisions, strict=True):
        assert one.belief is not None
        assert float(row["p_best"]) == pytest.approx(one.belief.best)
    frame = expand.load_run(record.folder).decisions
    assert list(frame["verdict"]) == [one.verdict for one in record.decisions]
    sheet = decisions_sheet(record)
    assert sheet.headings[3:5] == ("P(best)", "within 1")
    assert len(sheet.lines) == len(record.decisions)


def test_the_table_of_stability_in_every_form(record: RunRecord, tmp_path: Path) -> None:
    found = record.stability
    assert found is not None
    assert found.replays == 1_000
    frame = expand.load_run(record.folder).stability
    sequences = frame[frame["of"] == "sequence"]
    assert sequences["share"].sum() == pytest.approx(1)
    (own,) = sequences[sequences["own"]].to_dict("records")
    assert own["axes"] == ", ".join(one.chosen for one in record.decisions)
    assert own["share"] == found.same_sequence
    targets = frame[frame["of"] == "target-6M"]
    assert targets["share"].sum() == pytest.approx(1)
    (network,) = targets[targets["own"]].to_dict("records")
    assert network["macs"] == record.targets[0].network.macs
    printed = io.StringIO()
    write_table(record.folder, "stability", "csv", None, Console(file=printed))
    rows = list(csv.DictReader(io.StringIO(printed.getvalue())))
    assert len(rows) == len(frame)
    sheet = stability_sheet(record)
    assert sheet.headings == ("of", "axes", "MACs", "clip", "cases", "found")
    assert [line.cells[5] for line in sheet.lines if line.emphasis == "bold"] == ["here", "here"]
    written = tmp_path / "stability.parquet"
    write_table(record.folder, "stability", "parquet", written, Console(file=printed))
    assert written.exists()


def test_the_page_has_the_decisions(record: RunRecord) -> None:
    page = render(record)
    assert "<h2>Decisions</h2>" in page
    assert "<h2>Done again</h2>" in page
    assert "2 to 4 seeds" in page


def test_with_one_training_each_nothing_is_claimed(single: RunRecord) -> None:
    assert {one.verdict for one in single.decisions} == {"unknown"}
    assert all(one.belief is None for one in single.decisions)
    assert {line.cells[3] for line in decisions_sheet(single).lines} == {""}
    assert single.stability is None
    assert expand.load_run(single.folder).stability.empty
    assert "<h2>Done again</h2>" not in render(single)
    printed = io.StringIO()
    write_table(single.folder, "stability", "text", None, Console(file=printed, width=300))
    assert printed.getvalue() == (
        "How often a search with other seeds would find the same cannot be said: that takes a round that is "
        "decided, and two trainings of a candidate, which tell how scores scatter (--seeds 3).\n"
    )
