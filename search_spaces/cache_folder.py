"""A folder for what can be made again: in the user's cache; without a home, among temporary files."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Where what is called `name` is kept; it may be missing yet.

    That is $XDG_CACHE_HOME/NAME, else ~/.cache/NAME. Containers often run as a user without a home, or with
    `/` or a folder that it cannot write as one: then it is in a folder of this user's alone among temporary
    files.

    Raises:
        OSError: there is none that can be written.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):  # others are to be ignored, says the standard
        return Path(given) / name
    home = _home()
    if home is not None and can_make(home / ".cache" / name):
        return home / ".cache" / name
    return _temporary() / name


def can_make(folder: Path) -> bool:
    """Whether a folder is there and can be written, or can be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def lend_home(environment: MutableMapping[str, str]) -> None:
    """Where there is no home, tell libraries that look for one: some make a folder called `~` otherwise.

    Args:
        environment: of this process, and of those that it starts.

    Raises:
        OSError: there is no folder that can be written.
    """
    home = _home()
    if home is not None and can_make(home / ".cache" / "xpand"):
        return
    for key, folder in {
        "MPLCONFIGDIR": "matplotlib",
        "TRITON_HOME": "triton",
        "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    }.items():
        environment.setdefault(key, str(cache_folder(folder)))


def _home() -> Path | None:
    """The user's home; None: there is none, or just the root of all."""
    try:
        home = Path.home()
    except RuntimeError:  # a user that nobody knows
        return None
    return home if home.is_absolute() and home.parent != home and home.is_dir() else None


def _temporary() -> Path:
    """A folder of this user's alone, the same each time: others could put libraries into it otherwise."""
    folder = Path(tempfile.gettempdir()) / f"xpand-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder
