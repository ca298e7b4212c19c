"""The notebooks: each is one with its script, has no outputs, and runs from its first cell to its last."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupytext.compare import compare_notebooks  # type: ignore[import-untyped]
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from expand.data.synthetic import CLASSES
from expand.run.record import read_run
from expand.run.study import Run
from tests.expand.runs import run_search, toy_config

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("first-search", "own-axis", "own-parts", "reading-a-run")
SMALL = {"TRAIN": 24, "VALIDATION": 12, "EPOCHS": 1, "WORKERS": 1}  # trained in a blink, to no end
# No notebook looks at the report of its search, in which figures take seconds to draw.
NO_FIGURES = "from expand.report import page; page.KINDS = ()"

Execute = Callable[..., NotebookNode]


class ThisPython(AsyncKernelManager):
    """Its kernel is the interpreter of the tests, whatever kernels are registered on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Runs a notebook in an empty folder, with other settings than its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # threads that wait leave their core to others
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))  # the toy space is in the tests

    def run(name: str, **settings: object) -> NotebookNode:
        notebook = read(name, "ipynb")
        place, cell = next(parameter_cells(notebook))
        assert settings.keys() <= assigned(cell), f"{name} has other parameters than {', '.join(settings)}"
        text = "\n".join([*(f"{key} = {value!r}" for key, value in settings.items()), NO_FIGURES])
        notebook.cells.insert(place + 1, new_code_cell(text))  # type: ignore[no-untyped-call]
        here = tmp_path / "here"
        here.mkdir()
        client = NotebookClient(
            notebook,
            kernel_manager_class=ThisPython,
            timeout=240,
            resources={"metadata": {"path": str(here)}},
        )
        client.execute()
        return notebook

    return run


def read(name: str, form: str) -> NotebookNode:
    notebook: NotebookNode = jupytext.read((FOLDER / name).with_suffix(f".{form}"))
    return notebook


def parameter_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    for place, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", ()):
            yield place, cell


def assigned(cell: NotebookNode) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}


def outputs(notebook: NotebookNode) -> Iterator[tuple[str, Any]]:
    """What the cells gave: the MIME type, or the name of the stream, and what it holds."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                yield output.name, output.text
            else:
                yield from output.get("data", {}).items()


def text_of(notebook: NotebookNode, kind: str) -> str:
    return "".join(text for name, text in outputs(notebook) if name == kind)


def check_all_cells(notebook: NotebookNode) -> None:
    """Nothing failed, and what a cell is there to show is shown."""
    assert "Traceback" not in text_of(notebook, "stdout") + text_of(notebook, "stderr")
    for cell in notebook.cells:
        last = cell.source.splitlines()[-1]
        kinds = {kind for output in cell.get("outputs", ()) for kind in output.get("data", {})}
        if last.startswith("draw("):
            assert "image/png" in kinds, f"no figure comes of {last}"
        if ".filter(" in last or ".round(" in last:
            assert "text/plain" in kinds, f"no table comes of {last}"
    assert "Empty DataFrame" not in text_of(notebook, "text/plain")


def test_every_notebook_is_tested_and_has_its_script() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_file()) == [
        f"{name}.{form}" for name in NAMES for form in ("ipynb", "py")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_and_its_script_hold_the_same(name: str) -> None:
    notebook, script = read(name, "ipynb"), read(name, "py")
    for one in (notebook, script):
        assert one.metadata["jupytext"]["formats"] == "ipynb,py:percent"
    compare_notebooks(notebook, script, fmt="py:percent", allow_expected_differences=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs_and_has_one_cell_of_parameters(name: str) -> None:
    notebook = read(name, "ipynb")
    assert not list(outputs(notebook))
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    assert len(list(parameter_cells(notebook))) == 1


@pytest.mark.slow
def test_first_search(execute: Execute, tmp_path: Path) -> None:
    done = execute("first-search", **SMALL, INIT="scratch", TARGET="600K", FOLDER=str(tmp_path))
    check_all_cells(done)
    record = read_run(tmp_path / "first")
    assert record.finished
    assert [row.name for row in record.trajectory][::2] == ["step-0", "target-600K"]
    assert "targets   600 K MACs" in text_of(done, "stderr") + text_of(done, "text/plain")
    *_, said = (text for kind, text in outputs(done) if kind == "text/plain")
    assert all(name in said for name in CLASSES), "the network says nothing of the clip"


@pytest.mark.slow
def test_reading_a_run_that_it_makes(execute: Execute, tmp_path: Path) -> None:
    done = execute("reading-a-run", **SMALL, SEEDS=2, INIT="scratch", TARGET="600K", FOLDER=str(tmp_path))
    check_all_cells(done)
    record = read_run(tmp_path / "small")
    assert record.finished
    assert {len(row.seeds.scores) for row in record.trajectory} == {2}
    assert len(list((tmp_path / "figures").iterdir())) == 18


@pytest.mark.slow
def test_reading_a_run_that_there_is(execute: Execute, tmp_path: Path) -> None:
    """Of another space, with one seed."""
    run_search(tmp_path / "toy", toy_config(tmp_path / "clips"))
    done = execute("reading-a-run", RUN=str(tmp_path / "toy"), FOLDER=str(tmp_path))
    check_all_cells(done)
    assert not (tmp_path / "small").exists()
    assert "one seed" in text_of(done, "text/plain")


@pytest.mark.slow
def test_own_axis(execute: Execute, tmp_path: Path) -> None:
    done = execute("own-axis", **SMALL, AXIS_TARGET="8M", SPACE_TARGET="400K", FOLDER=str(tmp_path))
    check_all_cells(done)
    assert text_of(done, "text/plain").count("checks passed") == 2
    runs = {name: Run.open(tmp_path / name) for name in ("axis", "space")}
    axes = {
        name: {trial.user_attrs["axis"] for trial in run.study.get_trials()} for name, run in runs.items()
    }
    assert axes == {
        "axis": {None, "temporal", "width", "both"},
        "space": {None, "frames", "width", "layers"},
    }
    for name, target in (("axis", "target-8M"), ("space", "target-400K")):
        assert target in runs[name].models(), f"the search of the {name} has not ended"


@pytest.mark.slow
def test_own_parts(execute: Execute, tmp_path: Path) -> None:
    done = execute("own-parts", **SMALL, TARGET="2M", FOLDER=str(tmp_path))
    check_all_cells(done)
    said = text_of(done, "text/plain")
    assert "{'train': 24, 'val': 12}" in said
    assert "own_parts:SomeAxes, targets in bytes, scored by top-3" in said
    assert "target-2MB" in Run.open(tmp_path / "parts").models(), "the search has not ended"
