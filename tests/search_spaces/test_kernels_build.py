"""Building the compiled kernels, and doing without."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search_spaces.x3d.kernels import build
from search_spaces.x3d.layers import Stem

WHY_NOT = build.load_kernels()  # before any test changes what it depends on
compiles = pytest.mark.skipif(WHY_NOT is not None, reason=f"no compiled kernels: {WHY_NOT}")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    return tmp_path / "extensions" / "xpand"


def test_without_a_compiler_the_modules_do_it(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr("search_spaces.x3d.kernels.fused.load_kernels", build.load_kernels.__wrapped__)
    with caplog.at_level(logging.WARNING):
        out = Stem(24)(torch.rand(1, 3, 1, 8, 8))
    assert out.shape == (1, 24, 1, 4, 4)
    assert caplog.messages == [
        "no compiled kernels, so networks train 2 to 3 times slower: "
        "the C++ compiler no-such-compiler is not on the path: install it, or name another in CXX."
    ]
    assert not empty_cache.exists()


@compiles
def test_a_build_that_fails_leaves_nothing_and_says_so(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "broken.cpp").write_text("#error not today\n")
    monkeypatch.setattr(build, "SOURCES", sources)
    reason = build.load_kernels.__wrapped__()
    assert reason is not None
    assert reason.startswith("the build failed: ")
    assert list(empty_cache.iterdir()) == []


@compiles
def test_the_name_of_the_library_changes_with_all_that_decides_it(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {build.kernels_file().name}
    assert names == {build.kernels_file().name}
    with monkeypatch.context() as changed:
        changed.setattr(build, "_processor", lambda: "another")
        names.add(build.kernels_file().name)
    with monkeypatch.context() as changed:
        changed.setattr(torch, "__version__", "0.0")
        names.add(build.kernels_file().name)
    assert len(names) == 3


@compiles
@pytest.mark.slow
def test_two_processes_that_build_at_once_both_get_it(empty_cache: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "library.cpp").write_text("#include <torch/library.h>\nTORCH_LIBRARY(xpand, library) {}\n")
    # As soon as a process has put its library in place, another one is put there, as the other process does.
    script = (
        "import shutil, sys; from pathlib import Path; from search_spaces.x3d.kernels import build\n"
        "def replace(built, library):\n"
        "    shutil.copy(built, library)\n"
        "    Path(shutil.copy(built, f'{library}.{built.parent.name}')).rename(library)\n"
        "Path.replace = replace\n"
        "build.SOURCES = Path(sys.argv[1]); assert build.load_kernels() is None"
    )
    command = [sys.executable, "-c", script, str(sources)]
    processes = [subprocess.Popen(command, env=os.environ) for _ in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert len(list(empty_cache.iterdir())) == 1
