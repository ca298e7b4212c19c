"""What the package says of itself, wherever it says it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = "Programming Language :: Python :: "


def supported() -> list[str]:
    return [line.removeprefix(VERSION) for line in PROJECT["classifiers"] if line.startswith(VERSION)]


def test_the_versions_of_python_are_those_from_the_first_that_is_required() -> None:
    first, *_ = versions = supported()
    assert PROJECT["requires-python"] == f">={first}"
    minor = int(first.removeprefix("3."))
    assert versions == [f"3.{minor + place}" for place in range(len(versions))]


def test_the_pages_name_the_first_version_and_the_commands_use_it() -> None:
    first, *later = supported()
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.findall(r"Python (3\.\d+)( or later)?", text) == [(first, " or later")], page
        commands = re.findall(r"^(python\S*) -m venv", text, re.MULTILINE)
        assert set(commands) == {f"python{first}"}, page
    assert re.findall(r"`python(3\.\d+)`", (ROOT / "README.md").read_text(encoding="utf-8")) == later


def test_the_types_are_checked_for_the_first_version() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    first, *_ = supported()
    assert tools["mypy"].get("python_version", first) == first
    assert tools["ruff"].get("target-version", f"py{first.replace('.', '')}") == f"py{first.replace('.', '')}"
