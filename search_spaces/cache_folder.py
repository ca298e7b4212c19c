"""The folder for files that can be made again: the user's cache, or temporary files without a home."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the cache folder called `name`, which may not exist yet.

    It is $XDG_CACHE_HOME/NAME, else ~/.cache/NAME. Containers often run as a user without a home, or whose
    home is `/` or cannot be written: then it is in a private folder of this user among temporary files.

    Raises:
        OSError: no folder can be written.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):  # the XDG standard says to ignore relative paths
        return Path(given) / name
    home = _home()
    if home is not None and can_make(home / ".cache" / name):
        return home / ".cache" / name
    return _temporary() / name


def can_make(folder: Path) -> bool:
    """Whether a folder exists and can be written, or can be created."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def lend_home(environment: MutableMapping[str, str]) -> None:
    """Point libraries that need a home to a cache folder, if the user has no home that can be written.

    Otherwise some of them create a folder called `~`.

    Args:
        environment: the environment variables of this process, which its children inherit.

    Raises:
        OSError: no folder can be written.
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
    """Return the user's home; None where there is none, or where it is the file system's root."""
    try:
        home = Path.home()
    except RuntimeError:  # the user has no entry in the password database
        return None
    return home if home.is_absolute() and home.parent != home and home.is_dir() else None


def _temporary() -> Path:
    """Return this user's private folder among temporary files, the same at each call.

    Private, since code is loaded from it: another user could put libraries into it.

    Raises:
        PermissionError: the folder belongs to another user, or others may enter it.
    """
    folder = Path(tempfile.gettempdir()) / f"xpand-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder
