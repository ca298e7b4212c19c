"""Texts from data on a terminal: shown as they are, and without any effect."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

from expand.system.console import Console, own_command, to_type
from expand.system.escaping import file_name, visible, visible_line

CLEAR = "\x1b[2J"
STYLES = re.compile(r"\x1b\[[\d;]*m")


def program(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_is_told_by_its_name_where_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = program(tmp_path / "an env" / "xpand"), program(tmp_path / "other" / "xpand")
    monkeypatch.setenv("PATH", str(here.parent))
    assert to_type("xpand", str(here)) == "xpand"
    assert to_type("xpand", str(other)) == str(other)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert to_type("xpand", str(here)) == f"'{here}'"


def test_this_command_is_told_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for called, told in ((".venv/bin/xpand", ".venv/bin/xpand"), ("-c", "xpand"), ("pytest", "xpand")):
        monkeypatch.setattr(sys, "argv", [called, "search"])
        assert own_command() == told


def console(*, terminal: bool = False) -> Console:
    colours = "standard" if terminal else None
    return Console(file=io.StringIO(), width=80, force_terminal=terminal, color_system=colours)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("walk the dog", "walk the dog"),
        ("läuft — 走る 🏃", "läuft — 走る 🏃"),
        (f"a{CLEAR}b", r"a\x1b[2Jb"),
        ("\x9b2J\x07\r\x7f\0", r"\x9b2J\x07\r\x7f\x00"),
        ("abc\u202egpj", r"abc\u202egpj"),
        ("\u2028\udcff", r"\u2028\udcff"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_control_characters_are_written_out(given: str, shown: str) -> None:
    assert visible(given) == shown
    assert visible_line(given) == shown.replace("\n", r"\n").replace("\t", r"\t")


@given(text=st.text(st.characters(exclude_categories=[])))
def test_whatever_it_is_it_can_be_printed_and_stays_as_it_is(text: str) -> None:
    shown = visible_line(text)
    assert "\n" not in shown
    assert shown.isascii() or shown.encode()
    assert visible_line(shown) == shown


@given(name=st.text(st.characters(exclude_categories=[])))
def test_names_of_files_lead_nowhere_else(name: str) -> None:
    assert re.fullmatch(r"\w([\w.-]*\w)?", file_name(name, "run")), name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("motion", "motion"),
        ("My videos (2)", "My-videos-2"),
        ("../../etc", "etc"),
        ("$(touch x)", "touch-x"),
        ("-rf", "rf"),
        ("..", "run"),
        ("ビデオ", "ビデオ"),
    ],
)
def test_names_of_files(given: str, name: str) -> None:
    assert file_name(given, "run") == name


@pytest.mark.parametrize("terminal", [False, True])
def test_texts_do_nothing_wherever_they_stand(terminal: bool) -> None:
    evil = f"[red]x[/red] [/] :smile: {CLEAR}"
    table = Table(evil, title=evil, caption=evil)
    table.add_row(evil)
    table.add_row(Text(evil))
    shown = console(terminal=terminal)
    shown.print(evil)
    shown.print(Text(evil))
    shown.print(Group(evil, table))
    found = STYLES.sub("", text(shown))
    assert "\x1b" not in found
    assert found.count(r"[red]x[/red] [/] :smile: \x1b[2J") == 8


def test_columns_are_as_wide_as_what_they_show() -> None:
    table = Table("name", "count", box=None)
    table.add_row(CLEAR, "1")
    table.add_row("walk", "2")
    shown = console()
    shown.print(table)
    assert [line.split() for line in text(shown).splitlines()[1:]] == [[r"\x1b[2J", "1"], ["walk", "2"]]
