"""Log files: of a run, and of each job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from expand.system.escaping import visible


class _Quiet(logging.FileHandler):
    """A log that cannot be written, on a full disk for one, is no reason to stop or to print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do without the line."""
        del record

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _Plain(logging.Formatter):
    """Whoever prints a log prints texts from data: control characters are written out."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Everything that these packages log meanwhile is added to a file, with the time."""
    handler = _Quiet(path, encoding="utf-8")
    handler.setFormatter(_Plain("%(asctime)s %(levelname)s %(message)s"))
    packages = [logging.getLogger(name) for name in ("expand", "search_spaces")]
    for package in packages:
        package.addHandler(handler)
        package.setLevel(logging.INFO)
    try:
        yield
    finally:
        for package in packages:
            package.removeHandler(handler)
        handler.close()
