"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import get_default_build_root

from expand.command.cli import main
from expand.system import child_processes
from search_spaces.x3d.kernels.build import load_kernels
from tests.expand.commands import ROOT, Done, Xpand

# Tests fork the whole command too (tests/expand/faults/processes.py), from the process workers come from.
# What is slow is imported there, but not expand.system.console, which looks at the terminal on import; of
# torch and Optuna also what they import no sooner than it is needed, by an optimizer and by a study.
child_processes.PRELOADED += [
    "alembic.command",
    "expand.run.driver",
    "expand.report.page",
    "expand.training.calibrate",
    "expand.workers.local",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "sqlalchemy.dialects.sqlite",
    "torch._dynamo",
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
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        for mark in item.iter_markers("fault"):
            item.user_properties.append(("fault", mark.args))
