"""Writes several files together: all of them appear at their place, or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from expand.system.errors import UserError, cannot_write


def check_absent(*paths: Path) -> None:
    """Check that none of the paths exists.

    Raises:
        UserError: a path exists.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} must not exist yet, but it does: take another --out.")


@contextmanager
def together(path: Path) -> Iterator[Path]:
    """Yield a temporary folder on the disk of `path`, whose files are moved beside `path` at the end.

    A failure or an interrupt leaves none of the files, and no folders that were created for them.

    Raises:
        UserError: one of the files exists already, or the folder cannot be written.
    """
    above = next(folder for folder in path.absolute().parents if folder.is_dir())
    try:
        folder = Path(tempfile.mkdtemp(prefix=".xpand-", dir=above))
    except OSError as error:
        raise cannot_write(path, error) from None
    try:
        yield folder
        _put_in_place(sorted(folder.iterdir()), path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(files: list[Path], folder: Path) -> None:
    check_absent(*(folder / file.name for file in files))
    created: list[Path] = []
    placed: list[Path] = []
    try:
        for parent in reversed([folder, *folder.parents]):
            if not parent.exists():
                parent.mkdir()
                created.append(parent)
        for file in files:
            placed.append(folder / file.name)
            file.replace(placed[-1])
    except BaseException:
        for path in placed:
            with suppress(OSError):
                path.unlink()
        for parent in reversed(created):
            parent.rmdir()
        raise
