"""Odd names and odd terminals: spaces, other scripts, very long paths, no terminal, no colour, 40 columns."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
from pathlib import Path

import pytest

from expand.config.base import to_yaml
from tests.expand.commands import Xpand, refused
from tests.expand.faults.processes import Forked
from tests.expand.runs import LEARNING, toy_config

NAME = "ein Lauf mit Ümläuten 動画 'und' \"mehr\" $(x) 100% a?b#c;d {e}"
ESCAPES = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])")


@pytest.fixture
def config(tmp_path: Path, cache: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(toy_config(cache, search={"targets": [1_000], "seeds": 2}, training=LEARNING)))
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures", "only_svg")
@pytest.mark.fault(
    "unicode, spaces, quotes and signs in paths", "works: search, resume, status, plot, report"
)
def test_a_path_may_have_any_characters(tmp_path: Path, motions: Path, xpand: Xpand) -> None:
    videos = tmp_path / NAME
    shutil.copytree(motions, videos)
    data = {"format": "auto", "path": str(videos), "cache": {"folder": str(tmp_path / f"cache {NAME}")}}
    config = tmp_path / f"{NAME}.yaml"
    config.write_text(to_yaml(toy_config(data=data, search={"targets": [1_000]})))
    run = tmp_path / f"run {NAME}"
    done = xpand("search", "--config", config, "--out", run)
    assert done.returncode == 0, done.stderr
    for words in (["resume", run], ["status", run], ["table", run], ["plot", run], ["report", run]):
        again = xpand(*words)
        assert again.returncode == 0, again.stderr
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "study.db", "report.html", "figures"}
    assert {path.name for path in tmp_path.iterdir()} == {
        NAME, f"cache {NAME}", f"{NAME}.yaml", f"run {NAME}"
    }, "nothing is written beside"  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.fault("a very long path", "works as far as SQLite goes; then refused with the limit, exit 2")
def test_a_path_may_be_long_but_not_too_long(tmp_path: Path, config: Path, xpand: Xpand) -> None:
    folder = tmp_path
    while len(os.fsencode(folder)) < 380:
        folder /= "é" * 40
    run = folder / ("x" * (470 - len(os.fsencode(folder)) - 1))
    done = xpand("search", "--config", config, "--out", run)
    assert done.returncode == 0, done.stderr
    assert xpand("resume", run).returncode == 0
    longer = run.with_name(f"{run.name}y")
    assert refused(xpand("search", "--config", config, "--out", longer)) == (
        f"error: {longer} must have a path of at most 470 bytes, since SQLite opens none that is longer, got "
        "471: choose another --out."
    )
    assert not longer.exists()


def on_terminal(columns: int, *arguments: object, **environment: str) -> str:
    """What the command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment |= {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = Forked(*arguments, output=Path(os.ttyname(theirs)), environment=environment)
    shown = bytearray()
    while process.running or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    assert process.wait() == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def colours(shown: str) -> set[str]:
    """The codes of colours among its escapes."""
    codes = {code for found, kind in ESCAPES.findall(shown) if kind == "m" for code in found.split(";")}
    return {code for code in codes if code.isdecimal() and 30 <= int(code) <= 49}


@pytest.mark.slow
@pytest.mark.fault("a terminal of 40 columns", "every line fits, no name or score is cut")
@pytest.mark.fault("NO_COLOR, no terminal", "no colours; without a terminal no escapes at all")
def test_what_is_shown_suits_the_terminal(tmp_path: Path, config: Path) -> None:
    run = tmp_path / "run"
    shown = on_terminal(40, "search", "--config", config, "--out", run)
    assert colours(shown), "there are colours on a terminal"
    table = ESCAPES.sub("", shown).split(" model ")[-1].split("Report:")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 40
    assert re.search(r"^ step-1-\w+ +\S+ +\d+\.\d%", table, re.MULTILINE), table
    assert "…" not in table

    for verb in ("status", "table"):
        narrow = ESCAPES.sub("", on_terminal(40, verb, run))
        lines = narrow.splitlines()
        assert max(len(line.rstrip()) for line in lines if not line.startswith(("run ", "search "))) <= 40
        assert "…" not in narrow
    assert not colours(on_terminal(40, "status", run, NO_COLOR="1"))

    assert "\x1b" not in Forked("status", run, output=tmp_path / "piped").said()
    search = ("search", "--config", config, "--out", tmp_path / "other")
    other = Forked(*search, output=tmp_path / "output").said()
    assert "\x1b" not in other
    assert re.search(
        r"^round 0: start, seed 0: top-1 \d+\.\d% in \S+ \w+, about .+ left$", other, re.MULTILINE
    )
