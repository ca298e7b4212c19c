from __future__ import annotations

from pathlib import Path

import pytest

from expand.export.all_or_none import together
from expand.system.errors import UserError


def test_files_are_put_in_place_together(tmp_path: Path) -> None:
    path = tmp_path / "new" / "net.yaml"
    with together(path) as folder:
        for name in ("net.yaml", "net.md"):
            (folder / name).write_text(name)
        assert not path.parent.exists()
    assert sorted(each.name for each in path.parent.iterdir()) == ["net.md", "net.yaml"]
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_a_full_disk_leaves_nothing_and_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "net.yaml"

    def fill_the_disk() -> None:
        with together(path) as folder:
            (folder / "net.yaml").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError) as caught:
        fill_the_disk()
    assert str(caught.value) == f"{path} cannot be written: No space left on device."
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_puts_there_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"

    def be_late() -> None:
        with together(path) as folder:
            (folder / "net.yaml").write_text("ours")
            path.write_text("theirs")

    with pytest.raises(UserError) as caught:
        be_late()
    assert str(caught.value) == f"{path} must not exist yet, but it does: take another --out."
    assert path.read_text() == "theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["net.yaml"]
