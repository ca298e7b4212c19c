"""Where caches are kept, with and without a home."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

import pytest

from expand.data.cache import default_folder
from expand.system.errors import UserError
from search_spaces.cache_folder import cache_folder, lend_home


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for temporary files, for a user that nobody knows."""

    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    return tmp_path / f"xpand-{os.getuid()}"


def test_the_users_cache(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("it") == tmp_path / ".cache" / "it"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder("it") == tmp_path / ".cache" / "it"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder("it") == Path("/elsewhere/it")
    environment: dict[str, str] = {}
    lend_home(environment)
    assert environment == {}
    assert not temporary.exists()


@pytest.mark.parametrize("home", [None, "", "/", "relative", "~", "/no/such/folder", "/dev/null"])
def test_without_a_home_it_is_among_temporary_files(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert cache_folder("it") == temporary / "it"
    assert temporary.stat().st_mode & 0o777 == 0o700
    environment = {"TRITON_HOME": "/mine"}
    lend_home(environment)
    assert environment == {
        "TRITON_HOME": "/mine",
        "MPLCONFIGDIR": str(temporary / "matplotlib"),
        "TORCHINDUCTOR_CACHE_DIR": str(temporary / "torchinductor"),
    }


def test_a_home_that_cannot_be_written(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cache_folder("it") == temporary / "it"


def test_a_temporary_folder_that_others_could_write_is_not_used(temporary: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o770)
    with pytest.raises(UserError) as caught:
        default_folder()
    assert str(caught.value) == (
        f"decoded videos must have a folder that can be written, but {temporary} is not this user's alone: "
        "set data.cache.folder or XDG_CACHE_HOME."
    )


def test_a_cache_that_is_named_and_cannot_be_written(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(UserError) as caught:
        default_folder()
    assert str(caught.value) == (
        "decoded videos must have a folder that can be written, but /dev/null/xpand is not: set "
        "data.cache.folder or XDG_CACHE_HOME."
    )
