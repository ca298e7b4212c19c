"""The tree in CONTRIBUTING.md, a line a file: python -m tests.tree, which writes it there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
_BEGIN, _END = "<!-- tree -->\n```\n", "```\n<!-- end -->\n"
_COLUMN = 30
_BESIDE = {
    "results/": "reference runs and measured speeds, with the commands that made them",
    "notebooks/": "a first search, reading a run, axes and other parts of one's own; each also as a script",
    "docs/": "what outgrows the README; settings.md and speed.md are made by commands; examples/ are tested",
    "tests/": "mirror the packages; facts/ holds numbers from outside of this code",
}


def tree() -> str:
    """Each package with its modules, and what each is, by the first sentence of its docstring."""
    lines = [line for package in ("search_spaces", "expand") for line in _package(ROOT / package, 0)]
    lines += [_line(name, what, 0) for name, what in _BESIDE.items()]
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """CONTRIBUTING.md with this tree."""
    before, _, rest = text.partition(_BEGIN)
    return before + _BEGIN + tree() + _END + rest.partition(_END)[2]


def _package(folder: Path, depth: int) -> Iterator[str]:
    yield _line(f"{folder.name}/", _first_sentence(folder / "__init__.py"), depth)
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield _line(path.name, _first_sentence(path), depth + 1)
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").is_file():
            yield from _package(inner, depth + 1)


def _line(name: str, what: str, depth: int) -> str:
    return f"{'  ' * depth + name:<{_COLUMN}}{what}"


def _first_sentence(path: Path) -> str:
    said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return said.replace("\n", " ").partition(". ")[0].rstrip(".")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
