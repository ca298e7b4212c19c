"""Where a run's videos are: as absolute paths, and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.config.data_paths import moved, placed
from expand.config.options import build_config
from expand.config.search import Config
from expand.system.errors import UserError


def config(**data: object) -> Config:
    return Config.model_validate({"data": data})


def test_paths_are_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("here.txt", "videos/there.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    lists = {"train": "here.txt", "val": "there.txt", "test": "there.txt"}
    data = placed(config(path="videos", **lists, cache={"folder": "cache"})).data
    assert (data.path, data.train, data.val, data.test, data.cache.folder) == (
        tmp_path / "videos",
        tmp_path / "here.txt",
        tmp_path / "videos" / "there.txt",
        tmp_path / "videos" / "there.txt",
        tmp_path / "cache",
    )
    clips = config(format="synthetic")
    assert placed(clips) == clips


def test_lists_among_the_videos_move_with_them_and_others_stay(tmp_path: Path) -> None:
    data = moved(config(path="/old", train="/old/lists/a.txt", val="/lists/b.txt"), tmp_path).data
    assert (data.path, data.train, data.val) == (tmp_path, tmp_path / "lists" / "a.txt", Path("/lists/b.txt"))
    data = moved(config(train="/old/a.txt", val="/old/b.txt", test="/old/c.txt"), tmp_path).data
    assert (data.path, data.train, data.val) == (None, tmp_path / "a.txt", tmp_path / "b.txt")
    assert data.test == tmp_path / "c.txt"


def test_a_data_option_beside_a_config_takes_its_lists_along(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("data: {path: /old, train: /old/a.txt, val: /lists/b.txt}\n", encoding="utf-8")
    data = build_config(file, data=Path("/new")).data
    assert (data.path, data.train, data.val) == (Path("/new"), Path("/new/a.txt"), Path("/lists/b.txt"))


def test_what_cannot_have_moved(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        moved(config(format="synthetic"), tmp_path)
    assert str(caught.value) == (
        "--data must be left out for synthetic clips, which are in no folder: resume without it."
    )
