"""The examples of docs/extending.md: the page and a notebook hold their text, each passes the tests that are
shipped for it, and one search with all four is named in all that is shown of it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from expand.config.data import DataConfig
from expand.config.spaces import Space
from expand.data.readers import READERS
from expand.data.readers.conformance import check_reader
from expand.plots import KINDS, draw
from expand.run.record import read_run
from expand.search.base import Problem
from expand.search.conformance import check_cost, check_strategy
from expand.search.costs import COSTS, Cost, load_cost
from expand.search.strategies import STRATEGIES
from expand.training.conformance import ObjectiveConformance
from expand.training.objectives import OBJECTIVES, Objective
from search_spaces.base import peak_of
from search_spaces.x3d import X3DSpace
from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import write_classes
from tests.expand.plots.test_figures import overlaps, words
from tests.expand.toy import ToySpace

ROOT = Path(__file__).parents[1]
PAGE, FILE = ROOT / "docs" / "extending.md", ROOT / "docs" / "examples" / "own_parts.py"
NOTEBOOK = ROOT / "notebooks" / "own-parts.ipynb"
SPACES: tuple[Space, ...] = (X3DSpace(size=64), ToySpace())


@pytest.fixture(autouse=True)
def _found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)


def part(name: str) -> Any:
    import own_parts  # type: ignore[import-not-found]

    return getattr(own_parts, name)


def packed(code: str) -> str:
    """Code without its blank lines, of which a page has fewer than a file."""
    return "\n".join(line for line in code.splitlines() if line.strip())


def test_the_page_holds_the_text_of_the_file() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    own = [block for block in blocks if not block.startswith("# test_")]
    assert packed("\n".join(own)) == packed(FILE.read_text(encoding="utf-8"))


def test_the_notebook_writes_the_text_of_the_file() -> None:
    written = [
        cell.source.partition("\n")[2]
        for cell in jupytext.read(NOTEBOOK).cells
        if cell.source.startswith("%%writefile ")
    ]
    assert packed("\n".join(written)) == packed(FILE.read_text(encoding="utf-8"))


def test_each_example_is_shorter_than_40_lines() -> None:
    classes = [node for node in ast.parse(FILE.read_text()).body if isinstance(node, ast.ClassDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in classes}
    assert lengths.keys() == {"SomeAxes", "Memory", "Top3", "JsonLines"}
    assert max(lengths.values()) < 40, lengths


def test_the_table_names_all_of_ours() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in (*STRATEGIES, *COSTS, *OBJECTIVES, *READERS):
        assert f"`{name}`" in text, name


@pytest.mark.slow
def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(# test_.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        (tmp_path / block.split()[1]).write_text(block)
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)]
    assert pytest.main(options) == 0


@pytest.mark.parametrize("space", SPACES, ids=["x3d", "toy"])
@pytest.mark.parametrize("cost", [*COSTS, "own_parts:Memory"])
def test_the_strategy(space: Space, cost: str) -> None:
    if cost == "peak" and peak_of(space) is None:
        pytest.skip("the space does not say what is in memory at once")
    counted = load_cost(cost)
    start = counted.value(space, space.start, 10)
    targets = [round(1.6 * start), round(3.7 * start)]
    if counted.value(space, next(iter(space.axes.values())).move(space, space.start, 1), 10) == start:
        targets = [start]  # the toy space has one number of activations
    problem = Problem(
        space=space, axes=space.axes, targets=targets, num_classes=10, cost=counted, seeds=(3, 4)
    )
    check_strategy(part("SomeAxes"), problem)
    check_strategy(lambda: part("SomeAxes")(axes=1, step=1.5), problem)


@pytest.mark.parametrize("space", SPACES, ids=["x3d", "toy"])
def test_the_cost(space: Space) -> None:
    cost: Cost = part("Memory")()
    check_cost(cost, space)
    complexity = space.complexity(space.architecture(space.start), 10)
    largest = max(stage.activations for stage in complexity.stages)
    assert cost.value(space, space.start, 10) == 2 * complexity.params + 2 * largest
    assert cost.short(1_500_000) == "1.5MB"


class TestTheObjective(ObjectiveConformance):
    def objective(self) -> Objective:
        objective: Objective = part("Top3")()
        return objective


def test_the_objective_by_hand() -> None:
    probabilities = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    labels: NDArray[np.int64] = np.array([2, 2])
    assert part("Top3")().score(probabilities, labels) == 0.5  # all four equal: the right one is last


def write_lines(folder: Path) -> Path:
    """Videos of four classes, listed as the reader wants them."""
    classes = ("down", "left", "right", "up")
    write_classes(folder, dict.fromkeys(classes, 5))
    rows = [
        {"video": str(path.relative_to(folder)), "label": path.parent.name, "split": split}
        for label in classes
        for path, split in zip(sorted((folder / label).iterdir()), ["train"] * 3 + ["val"] * 2, strict=True)
    ]
    (folder / "videos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_reader(tmp_path: Path) -> None:
    folder = write_lines(tmp_path)
    reader = part("JsonLines")()
    listed = check_reader(reader, DataConfig(path=folder, format="own_parts:JsonLines"))
    assert {split: len(videos) for split, videos in listed.splits.items()} == {"train": 12, "val": 8}
    assert reader.recognises(folder)
    assert not reader.recognises(folder / "left")


@pytest.mark.parametrize(
    "line",
    [
        '{"video": "a.mp4", "label": "run"}',
        '{"video": "a.mp4", "label": "run", "split": "dev"}',
        "a.mp4 run",
        "[]",
    ],
)
def test_a_line_that_the_reader_does_not_know(tmp_path: Path, xpand: Xpand, line: str) -> None:
    (tmp_path / "videos.jsonl").write_text(f"\n{line}\n")
    done = xpand("doctor", tmp_path, "--set", "data.format=own_parts:JsonLines", cwd=FILE.parent)
    assert refused(done).endswith(
        f"line 2 of {tmp_path / 'videos.jsonl'} must have a video, its label and its split (train, val, "
        f"test), got {line}: correct it."
    )


@pytest.mark.slow
def test_a_search_with_all_of_them_is_named_in_all_that_is_shown(tmp_path: Path, xpand: Xpand) -> None:
    folder, out = write_lines(tmp_path / "motions"), tmp_path / "run"
    done = xpand(
        "search", "--data", folder, "--set", "data.format=own_parts:JsonLines", "--no-flip",
        "--set", "search.strategy=own_parts:SomeAxes", "--set", "search.settings={axes: 1}",
        "--set", "search.cost=own_parts:Memory", "--target", "900",
        "--set", "search.objective=own_parts:Top3",
        "--set", "space.name=tests.expand.toy:ToySpace", "--set", "training.epochs=1",
        "--set", "training.batch_size=8", "--set", "run.workers=1", "--set", "run.threads=1",
        "--set", "run.device=cpu", "--out", out, cwd=FILE.parent, cache=tmp_path / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    named = "own_parts:SomeAxes, targets in bytes, scored by top-3"
    assert f"search    {named}" in done.stderr
    assert {"bytes", "top-3"} <= {*done.stdout.split()}

    status = xpand("status", out, cwd=FILE.parent).stdout
    assert f"search    {named}" in status
    table = xpand("table", out, cwd=FILE.parent).stdout
    for said in (status, table):
        assert {"bytes", "top-3"} <= {*said.split()}
    report = (out / "report.html").read_text()
    assert f"<dd>{named}</dd>" in report
    assert "<th>bytes" in report or ">bytes</th>" in report

    record = read_run(out)
    figures = {kind: draw(kind, [record]) for kind in KINDS}
    said = words(figures["trace"])
    for text in ("Search trace: run", "top-3 on validation", "Bytes: as own_parts:Memory counts them.",
                 "Top-3 on validation, one seed.", "meets a target", "target 900B"):  # fmt: skip
        assert text in said, text
    assert "MACs" not in said
    assert "contracted" not in said
    assert all(row.network.cost <= 900 for row in record.rounds)
    assert [row.name for row in record.targets] == ["target-900B"]
    for kind, figure in figures.items():
        assert overlaps(figure) == [], kind
