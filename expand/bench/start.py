"""Benchmark of starting the command, against importing torch."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from expand.bench.harness import Comparison, Figures, alternate

_MAIN = "from expand.command.cli import main; main()"
_COMMANDS = {"xpand --help": ["--help"], "xpand count x3d-s": ["count", "x3d-s"]}


def measure_start(*, rounds: int) -> Figures:
    """Measure the milliseconds of whole commands that train nothing, and of importing torch."""
    rows = []
    for name, arguments in _COMMANDS.items():
        calls = {
            "xpand": partial(_run, "-c", _MAIN, *arguments),
            "import torch": partial(_run, "-c", "import torch"),
        }
        rows.append(Comparison(name=name, timings=alternate(calls, rounds=rounds), baseline="import torch"))
    return Figures(benchmark="start", unit="ms a start", rows=rows, settings={"rounds": rounds}, limit=500.0)


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
