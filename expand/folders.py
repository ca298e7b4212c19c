"""What run folders of all kinds have in common: one driver, and a configuration that stays as it was."""

from __future__ import annotations

import datetime
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from expand.errors import UserError
from expand.files import write_json


def check_free(folder: Path) -> None:
    """Raises UserError where a new run cannot be put at `folder`."""
    if (folder / "study.db").exists() or (folder / "training.json").exists():
        raise UserError(
            f"{folder} must be free for a new run, but it holds one: go on with it by "
            f"`xpand resume {folder}`, or choose another --out."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} must be free for a new run, but it is not empty: choose another --out.")


def free_folder(parent: Path, name: str) -> Path:
    """NAME, or NAME-2, NAME-3, … where it is taken."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder as its only driver. The lock of a process that died is free.

    Raises:
        UserError: another process drives it; says which.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / "driver.json"
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{folder} must have one driver, but {_describe(holder)} has it: wait for it, or end it."
        ) from None
    try:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(holder, {"host": socket.gethostname(), "process": os.getpid(), "since": now})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Each leaf that differs, as `search.targets: [1] → [2]`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif was != now:
        yield f"{path}: {was!r} → {now!r}"


def _describe(holder: Path) -> str:
    try:
        values = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {values['process']} on {values['host']}, since {values['since']},"
    except (OSError, ValueError, KeyError):
        return "another process"
