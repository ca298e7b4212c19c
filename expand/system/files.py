"""Files that are there whole or not at all, and what to say where they cannot be."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expand.system.errors import RunFailed

# What a disk says, whoever asked for what: it is full, or it is going.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def disk_failed(error: BaseException) -> bool:
    """Whether an exception says that a disk is full or failing: nobody's mistake, and no candidate's."""
    return isinstance(error, OSError) and error.errno in _DISK


@contextmanager
def writing(path: Path, then: str = "resume") -> Iterator[None]:
    """What is written meanwhile is told by its path where the disk is full or failing.

    Args:
        path: of the file.
        then: what its user does when there is room again.

    Raises:
        RunFailed: it is.
    """
    try:
        yield
    except OSError as error:
        if not disk_failed(error):
            raise
        raise RunFailed(f"{path} cannot be written: {error.strerror}; make room and {then}.") from error


@contextmanager
def replacing(path: Path, then: str = "resume") -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, flushed to disk before; see `writing`.

    Raises:
        RunFailed: the disk is full or failing; what was at `path` is still there.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with writing(path, then):
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path: Path, text: str, then: str = "resume") -> None:
    """Put a whole file in place in one step: a reader sees the old one or the new one; see `writing`."""
    with replacing(path, then) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, values: object, then: str = "resume") -> None:
    write_atomic(path, json.dumps(values, indent=1, sort_keys=True) + "\n", then)


def read_json(path: Path) -> Any | None:
    """The values in a file; None where there is none, or where they are torn: that is set aside."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        quarantine(path)
        return None


def quarantine(path: Path) -> Path:
    """Set a damaged file aside, where nobody reads it and its owner can look at it."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError:  # a folder that only is read
        return path
    return aside
