"""The docstring of each package names what other packages may use; the names must exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(
    path.parent for top in ("expand", "search_spaces") for path in (ROOT / top).rglob("__init__.py")
)
_REFERENCE = re.compile(r"`(\w+)\.(\w+)`")  # `module.name`


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: ".".join(path.relative_to(ROOT).parts))
def test_a_package_names_what_others_may_use(package: Path) -> None:
    references = list(_references(package))
    assert references, "the docstring must name public functions as `module.name`"
    missing = [f"{module}.{name}" for module, name in references if name not in _defined(package, module)]
    assert not missing


def _references(package: Path) -> Iterator[tuple[str, str]]:
    doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    for match in _REFERENCE.finditer(doc):
        yield match[1], match[2]


def _defined(package: Path, module: str) -> set[str]:
    """The names in a module of the package, in a package inside it or beside it, or in `expand` itself."""
    folders = (package / module, package.parent / module, ROOT / module)
    paths = (package / f"{module}.py", *(folder / "__init__.py" for folder in folders))
    path = next((path for path in paths if path.is_file()), None)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
