"""Run folders of any kind: checks of a new one, the lock of its one driver, changes of its configuration."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from expand.system.errors import UserError, cannot_write
from expand.system.files import write_json

# What run folders hold.
CONFIG = "config.yaml"
STUDY = "study.db"  # of a search
TRAINING = "training.json"  # of a full training: settings that must not change on resume
CHECKPOINTS = "checkpoints"
MODELS = "models"
LOG = "log.txt"
_DRIVER = "driver.json"
_LONGEST = 470  # bytes: SQLite's limit of 512, less the suffixes that SQLite and the run itself append


def of_training(folder: Path) -> bool:
    """Whether a folder is that of a full training, and not of a search.

    Raises:
        UserError: it is neither.
    """
    if (folder / TRAINING).is_file() or (folder / STUDY).is_file():
        return (folder / TRAINING).is_file()
    found = "it is neither" if folder.exists() else "nothing is there"
    raise UserError(
        f"{folder} must be the folder of a search or a training, but {found}: "
        "name one that `xpand search` or `xpand train` made."
    )


def check_free(folder: Path) -> None:
    """Check that a folder can take a new run.

    Raises:
        UserError: the folder holds a run or other files.
    """
    if (folder / STUDY).exists() or (folder / TRAINING).exists():
        raise UserError(
            f"{folder} must be free for a new run, but it holds one: go on with it by "
            f"`xpand resume {shlex.quote(str(folder))}`, or choose another --out."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} must be free for a new run, but it is not empty: choose another --out.")


def check_writable(folder: Path) -> None:
    """Check, before hours of work, that a new run can be created at `folder`.

    Raises:
        UserError: the path is too long for SQLite, or the folder above cannot be written.
    """
    if (length := len(os.fsencode(os.path.realpath(folder)))) > _LONGEST:
        raise UserError(
            f"{folder} must have a path of at most {_LONGEST} bytes, since SQLite opens none that is longer, "
            f"got {length}: choose another --out."
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"{folder} must be in a folder that can be written, got {above}: choose another --out."
        )


def free_folder(parent: Path, name: str) -> Path:
    """Return the first of NAME, NAME-2, NAME-3, … that does not exist in `parent`."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process as its only driver; the kernel frees the lock when its holder dies.

    Raises:
        UserError: another process drives the folder, or the folder cannot be written.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / _DRIVER
    try:
        lock.acquire()
    except Timeout:
        driver = read_driver(folder)
        raise UserError(
            f"{folder} must have one driver, but {f'{driver},' if driver else 'another process'} has it: "
            "wait for it, or end it."
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(holder, {"host": socket.gethostname(), "process": os.getpid(), "since": now, "facts": {}})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """The process that drives a folder, as driver.json has it.

    Attributes:
        host: its host name.
        process: its process id.
        since: when it took the folder (ISO 8601).
        facts: further values that it has announced, by name.
    """

    host: str
    process: int
    since: str
    facts: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Whether the process still runs; on another host it is assumed to."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # the process is another user's
            return True
        return True

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


def announce(folder: Path, values: dict[str, Any]) -> None:
    """Add values to the folder's driver.json, for readers of the run's status; only the driver calls it."""
    driver = read_driver(folder)
    if driver is not None:
        write_json(folder / _DRIVER, asdict(replace(driver, facts=driver.facts | values)))


def read_driver(folder: Path) -> Driver | None:
    """Read who drives a folder, or did until it was killed; None where driver.json is missing or damaged."""
    try:
        return Driver(**json.loads((folder / _DRIVER).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield each value that differs between two nested dicts, as `search.targets: [1] → [2]`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif was != now:
        yield f"{path}: {was!r} → {now!r}"
