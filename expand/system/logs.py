"""Log files of a run and of each job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from expand.system.escaping import visible


class _Quiet(logging.FileHandler):
    """A file handler that drops lines that cannot be written, as on a full disk, instead of failing."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop the line."""
        del record

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _Plain(logging.Formatter):
    """A formatter that escapes control characters, as messages may contain texts from data."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append all that `expand` and `search_spaces` log inside the block to a file, with the time."""
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
