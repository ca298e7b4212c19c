"""Compiles the CPU kernels at first use, once for a machine, where it has a C++ compiler.

The library is in torch's folder of extensions ($TORCH_EXTENSIONS_DIR, else torch_extensions in the user's
cache), under a name that is a hash of the sources, torch's version, the processor and the flags, so that
several kinds of machine can share the folder. It is built in a temporary folder and then moved, so that a
build that is killed leaves neither a lock nor a part of a library.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from search_spaces.cache_folder import cache_folder

log = logging.getLogger(__name__)

_NAME = "xpand_kernels"
SOURCES = Path(__file__).parent / "cpu"
_CPUINFO = Path("/proc/cpuinfo")


class NotBuilt(Exception):
    """The kernels cannot be built on this machine; the message says why."""


@functools.cache
def load_kernels() -> str | None:
    """Load the kernels as torch.ops.xpand, building them if need be; return None, or why that failed."""
    try:
        library = kernels_file()
        if library.exists():
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        else:
            _build_and_load(library)
    except (NotBuilt, OSError) as error:
        log.warning("no compiled kernels, so networks train 2 to 3 times slower: %s", error)
        return str(error)
    return None


def kernels_file() -> Path:
    """Return the path of this machine's library, whether it is built yet or not.

    Raises:
        NotBuilt: there is no supported compiler, so it can't be built here.
    """
    compiler = _compiler()
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or cache_folder("torch_extensions")
    parts = [torch.__version__, platform.platform(), _processor(), compiler, *_flags()]
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return Path(root) / "xpand" / f"{digest.hexdigest()[:16]}.so"


def _compiler() -> str:
    from torch.utils.cpp_extension import get_cxx_compiler

    if sys.platform == "win32":
        raise NotBuilt("they are written for GCC and Clang, which Windows has not.")
    name = str(get_cxx_compiler())  # type: ignore[no-untyped-call]
    path = shutil.which(name)
    if path is None:
        raise NotBuilt(f"the C++ compiler {name} is not on the path: install it, or name another in CXX.")
    return path


def _flags() -> list[str]:
    native = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    return ["-O3", native, *(["-fopenmp"] if sys.platform == "linux" else [])]


def _processor() -> str:
    """Return the processor's instruction sets: code built for one processor may crash on another."""
    if not _CPUINFO.exists():
        return platform.processor()
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _build_and_load(library: Path) -> None:
    """Build the library and load it, once: another process may put its own in the same place meanwhile."""
    from torch.utils.cpp_extension import load

    log.warning("building the CPU kernels for this machine, once: about half a minute")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".build-") as folder, _ninja_on_the_path():
        try:
            load(
                _NAME,
                sorted(str(path) for path in SOURCES.glob("*.cpp")),
                build_directory=folder,
                is_python_module=False,
                extra_cflags=_flags(),
            )
        except Exception as error:
            raise NotBuilt(f"the build failed: {error}") from error
        (Path(folder) / f"{_NAME}.so").replace(library)


@contextmanager
def _ninja_on_the_path() -> Iterator[None]:
    """Put this Python's scripts on the path, as ninja is there even if the environment is not activated."""
    previous = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), previous])
    try:
        yield
    finally:
        os.environ["PATH"] = previous
