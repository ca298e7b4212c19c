"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
from optuna.storages._rdb import storage
from sqlalchemy import Engine, event
from torch.utils.cpp_extension import get_default_build_root

from expand.command.cli import main
from expand.system import child_processes
from search_spaces.x3d.kernels.build import load_kernels
from tests.expand.commands import ROOT, Done, Xpand

# What torch imports no sooner than an optimizer needs it, so that each worker would import it anew.
child_processes.PRELOADED += ["torch._dynamo"]
# Slow tests fork the whole command too (tests/expand/faults/processes.py), from where workers are forked.
# What is slow is imported there, but not expand.system.console, which looks at the terminal on import; of
# Optuna also what it imports no sooner than a study needs it.
_OF_THE_COMMAND = [
    "alembic.command",
    "expand.run.driver",
    "expand.report.page",
    "expand.training.calibrate",
    "expand.workers.local",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "sqlalchemy.dialects.sqlite",
    "typer",
]

_environment = pytest.MonkeyPatch()


def pytest_configure() -> None:
    # Tests have caches of their own, but the compiled kernels are built once for all of them.
    if "TORCH_EXTENSIONS_DIR" not in os.environ:
        _environment.setenv("TORCH_EXTENSIONS_DIR", get_default_build_root())
    # Triton's kernels run on the CPU where there is no GPU. It must know before anything imports it.
    if not torch.cuda.is_available() and "TRITON_INTERPRET" not in os.environ:
        _environment.setenv("TRITON_INTERPRET", "1")


def pytest_unconfigure() -> None:
    _environment.undo()


@pytest.fixture(autouse=True, scope="session")
def _kernels() -> None:
    """Builds the compiled kernels before the first test, which has time limits for trainings."""
    load_kernels()


@pytest.fixture(autouse=True, scope="session")
def _parser() -> Iterator[None]:
    """Makes the parser of the command once; to make it takes longer than what most calls of it do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _migrations() -> Iterator[None]:
    """Reads Optuna's migrations of its tables once; Optuna does so for each study that is made or opened."""
    made: list[Any] = []
    read = storage._VersionManager._create_alembic_script

    def once(self: storage._VersionManager) -> Any:
        if not made:
            made.append(read(self))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage._VersionManager, "_create_alembic_script", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _unforced() -> Iterator[None]:
    """Files are not forced onto the disk: no test cuts the power, and to wait for a busy disk takes long."""

    def unforced(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        event.listen(Engine, "connect", unforced)
        yield
        event.remove(Engine, "connect", unforced)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks of these tests are small: one thread is faster than several that share busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report that a search in this process ends with has no figures, which take seconds to draw.

    For tests that look at something else; those of the report and of the figures draw them.
    """
    monkeypatch.setattr("expand.report.page.KINDS", ())


@pytest.fixture
def only_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    """`xpand plot` writes its figures in one format, for tests that look at something else."""
    monkeypatch.setattr("expand.plots.figures.FORMATS", ("svg",))


@pytest.fixture
def xpand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Xpand:
    """Runs the command in this process, which is several times faster than to start another."""

    def run(*arguments: object, cwd: Path = ROOT, cache: Path | None = None) -> Done:
        monkeypatch.setattr(sys, "argv", ["xpand", *map(str, arguments)])
        monkeypatch.chdir(cwd)
        if cache is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Done(end.value.code if isinstance(end.value.code, int) else 0, *capsys.readouterr())

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What went wrong on purpose, and what came of it: the table of `pytest -m fault`."""
    if config.getoption("markexpr") != "fault":
        return
    rows: dict[tuple[str, str], list[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "fault":
                    rows.setdefault(value, []).append(outcome)
    terminalreporter.section("what went wrong, and what had to come of it")
    wide = max((len(what) for what, _ in rows), default=0)
    for (what, wanted), outcomes in rows.items():
        counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
        terminalreporter.write_line(f"{counts:<10}  {what:<{wide}}  {wanted}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none is left to one process at the end.

    And reports are told which row of the table of faults they are.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    if slow:
        child_processes.PRELOADED += _OF_THE_COMMAND
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        for mark in item.iter_markers("fault"):
            item.user_properties.append(("fault", mark.args))
