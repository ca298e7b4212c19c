"""No package imports one that stands above it in the flow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From what knows nothing of the others to what uses all of them.
FLOW = (
    *("search_spaces", "system", "config", "data", "jobs", "search", "weights", "training", "profiling"),
    *("workers", "run", "full", "predicting", "export", "plots", "report", "preview", "bench", "command"),
)
# What decides needs no more than Python and numpy, whose generators get their seeds from the search.
PURE = {"torch", "time", "random", "pathlib", "os", "optuna", "pandas"}


def test_all_packages_are_in_the_flow() -> None:
    packages = {path.parent.name for path in (ROOT / "expand").glob("*/__init__.py")}
    assert packages | {"search_spaces"} == set(FLOW)
    assert not set((ROOT / "expand").glob("*.py")) - {ROOT / "expand" / "__init__.py"}


@pytest.mark.parametrize("package", FLOW)
def test_no_package_imports_one_that_stands_above_it(package: str) -> None:
    above = set(FLOW[FLOW.index(package) + 1 :])
    folder = ROOT / package if package == "search_spaces" else ROOT / "expand" / package
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted(folder.rglob("*.py"))
        for module in _imported(path)
        if _package(module) in above
    ]
    assert not wrong


def test_decisions_are_pure() -> None:
    for path in (ROOT / "expand" / "search").glob("*.py"):
        imported = {module.partition(".")[0] for module in _imported(path)}
        # Optuna's samplers propose networks, seeded and with a study in memory: equal scores, equal networks.
        assert not imported & PURE - ({"optuna"} if path.name == "samplers.py" else set()), path.name


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _package(module: str) -> str:
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "expand" else top
