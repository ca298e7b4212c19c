"""The real command in processes of their own, which tests end in many ways."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

from expand.jobs.job import Measurement
from expand.run.study import Run
from expand.system.child_processes import start_method

ROOT = Path(__file__).parents[3]
T = TypeVar("T")


class Forked:
    """The command, forked from a process that has imported everything, as its workers are: no time to start.

    Args:
        arguments: of the command.
        output: a file that takes what it prints, or a terminal.
        environment: what is set for it besides.
        before: what is done in its process first, such as to set a limit; a function of a module.
        figures: whether the report of a search has figures, which take seconds to draw.
    """

    def __init__(
        self,
        *arguments: object,
        output: Path,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        figures: bool = False,
    ) -> None:
        self._output = output
        given = ([*map(str, arguments)], output, dict(environment or {}), before, figures)
        self._process: BaseProcess = cast(Any, start_method()).Process(target=_command, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.exitcode is None

    def wait(self, seconds: float = 120.0) -> int | None:
        """Its exit code; None where it still runs after so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def said(self, code: int = 0) -> str:
        """All that it printed, once it has ended with this exit code."""
        ended, text = self.wait(), self._output.read_text()
        assert ended == code, text
        return text


def _command(
    arguments: list[str],
    output: Path,
    environment: dict[str, str],
    before: Callable[[], None] | None,
    figures: bool,
) -> None:
    """What `xpand` does, with its output elsewhere."""
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.chdir(ROOT)
    sys.argv = ["xpand", *arguments]
    from expand.command.cli import main
    from expand.report import page

    if not figures:
        page.KINDS = ()  # type: ignore[attr-defined]
    if before is not None:
        before()
    fork_server()
    main()


def fork_server() -> None:
    """Start the process that local workers are forked from, itself as a fork, which has imported all.

    The product would start a new interpreter instead, which imports for seconds.
    """

    def fork(_: object, arguments: Sequence[str], passed: Sequence[int]) -> int:
        if (pid := os.fork()) == 0:
            kept = sorted({0, 1, 2, *passed, os.sysconf("SC_OPEN_MAX")})
            for last, following in pairwise(kept):
                os.closerange(last + 1, following)
            try:
                exec(arguments[-1])
            finally:
                os._exit(0)
        return pid

    if sys.platform == "linux":
        forkserver.util.spawnv_passfds = fork  # type: ignore[attr-defined]
        start_method()


def checksums(run: Path) -> dict[str, str]:
    """Of the model files of a run and their weights."""
    models = run / "models"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.iterdir())}


def lasting(run: Path) -> dict[str, dict[str, object]]:
    """What was measured in a run, but for what may differ from one time to another, by the job's key."""
    return {
        key: {name: value for name, value in asdict(result).items() if name not in Measurement.VARYING}
        for key, result in Run.open(run).results().items()
    }


def wait_for(found: Callable[[], T], seconds: float = 30.0) -> T:
    """What `found` gives when it gives something, or the last it gave."""
    end = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def descendants(pid: int) -> list[int]:
    """The processes below one."""
    found = []
    for child in _children(pid):
        found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        files = [task / "children" for task in tasks.iterdir()]
        return [int(child) for file in files for child in file.read_text().split()]
    except OSError:
        return []
