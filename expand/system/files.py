"""Atomic writes, so that readers see a whole file or none, and the errors of full or failing disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expand.system.errors import RunFailed

# The disk is full, a quota or the largest file size is reached, or the hardware fails.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def disk_failed(error: BaseException) -> bool:
    """Whether an exception means that a disk is full or failing, which is no candidate's fault."""
    return isinstance(error, OSError) and error.errno in _DISK


@contextmanager
def writing(path: Path, then: str = "resume") -> Iterator[None]:
    """Turn disk-full and I/O errors inside the block into a RunFailed that names `path`.

    Args:
        path: the file that is written.
        then: what the user should do once there is room again, for the message.

    Raises:
        RunFailed: the disk is full or failing.
    """
    try:
        yield
    except OSError as error:
        if not disk_failed(error):
            raise
        raise RunFailed(f"{path} cannot be written: {error.strerror}; make room and {then}.") from error


@contextmanager
def replacing(path: Path, then: str = "resume") -> Iterator[Path]:
    """Yield a temporary path beside `path`; at the end it is flushed to disk and renamed to `path`.

    Raises:
        RunFailed: the disk is full or failing; the old file at `path` is kept.
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
    """Write a text file in one step: readers see the old text or the new one. Errors: see `replacing`."""
    with replacing(path, then) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, values: object, then: str = "resume") -> None:
    write_atomic(path, json.dumps(values, indent=1, sort_keys=True) + "\n", then)


def read_json(path: Path) -> Any | None:
    """Read a JSON file; None where it is missing or damaged. A damaged file is renamed (`quarantine`)."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        quarantine(path)
        return None


def link_or_copy(source: Path, path: Path) -> None:
    """Make a new file of the same content: by a hard link, which takes no room, else by a copy.

    Both files must only be replaced in one step from then on, as `replacing` does, and never written into.
    """
    try:
        os.link(source, path)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, path)


def quarantine(path: Path) -> Path:
    """Rename a damaged file to NAME.damaged, so that nobody reads it; return its new path."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError:  # the folder is read-only
        return path
    return aside
