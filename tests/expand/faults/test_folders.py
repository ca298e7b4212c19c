"""Folders that cannot be written, or whose content goes away or is replaced under a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pytest

from expand.config.search import Config
from expand.data import cache as cache_module
from expand.data.base import BadVideo, Decoded, Item, Moments
from expand.data.cache import open_cache
from expand.data.file_source import FileSource
from expand.data.sources import open_source
from expand.run.preparation import decode, plan
from expand.run.study import Run
from expand.system.errors import RunFailed, UserError
from tests.expand.commands import Xpand, refused
from tests.expand.data.slow_build import NEEDS, configured
from tests.expand.faults.disks import read_only, small_disk
from tests.expand.runs import Quiet, prepared, toy_config


@pytest.fixture
def videos(motions: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(motions, tmp_path / "videos"))


def config_of(videos: Path, tmp_path: Path, **run: object) -> Config:
    data = {"format": "auto", "path": str(videos), "cache": {"folder": str(tmp_path / "cache")}}
    return toy_config(data=data, search={"targets": [1_000]})


def started(config: Config, folder: Path) -> Run:
    return Run.create(folder, config, prepared(config).setup.data)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as found:
        yield found
        read_only(found, False)


@pytest.mark.fault("a read-only run folder", "refused by name, exit 2; status and table still work")
def test_a_read_only_run_is_refused_and_can_still_be_read(
    disk: Path, tmp_path: Path, cache: Path, xpand: Xpand
) -> None:
    config = toy_config(cache)
    run = started(config, disk / "run").folder
    read_only(disk, True)
    before = sorted(disk.rglob("*"))
    assert refused(xpand("resume", run)) == f"error: {run} cannot be written: Read-only file system."
    status = xpand("status", run)
    assert status.returncode == 0, status.stderr
    assert "in round 0, 1 candidate to come" in status.stdout
    assert xpand("table", run, "--what", "rounds").returncode == 0
    assert sorted(disk.rglob("*")) == before


@pytest.mark.fault("a read-only place for a new run", "refused before anything is decoded, exit 2")
def test_a_new_run_on_a_read_only_disk_is_refused_before_the_work(disk: Path, xpand: Xpand) -> None:
    read_only(disk, True)
    done = xpand("search", "--out", disk / "new" / "run", "--set", f"data.cache.folder={disk / 'cache'}")
    assert refused(done) == (
        f"error: {disk / 'new' / 'run'} must be in a folder that can be written, got {disk}: choose another "
        "--out."
    )


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.fault("a data folder that vanished", "refused by name, exit 2")
def test_a_data_folder_that_vanished_is_named(videos: Path, tmp_path: Path, xpand: Xpand) -> None:
    run = started(config_of(videos, tmp_path), tmp_path / "run").folder
    videos.rename(tmp_path / "elsewhere")
    assert refused(xpand("resume", run)) == (
        f"error: the videos must be in {videos}, where they were at the start, but there is no such folder: "
        "put them back, or give their new folder by --data FOLDER."
    )
    (tmp_path / "elsewhere").rename(videos)
    assert xpand("resume", run).returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.fault("a data folder that moved and has another name", "`resume --data` goes on, and keeps it")
def test_videos_that_moved_are_known_by_their_bytes(
    videos: Path, tmp_path: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [started(config_of(videos, tmp_path), tmp_path / name).folder for name in ("one", "other")]
    assert xpand("resume", runs[0]).returncode == 0
    (tmp_path / "elsewhere").mkdir()
    videos.rename(tmp_path / "elsewhere" / "renamed")
    shutil.rmtree(tmp_path / "cache")
    assert xpand("resume", runs[1], "--data", "elsewhere/renamed", cwd=tmp_path).returncode == 0
    assert Run.open(runs[1]).config.data.path == tmp_path / "elsewhere" / "renamed"
    models = [{path.name: path.read_bytes() for path in (run / "models").iterdir()} for run in runs]
    assert models[0] == models[1]


def test_other_videos_are_not_those_that_moved(videos: Path, tmp_path: Path, xpand: Xpand) -> None:
    run = started(config_of(videos, tmp_path), tmp_path / "run").folder
    config = (run / "config.yaml").read_bytes()
    other = Path(shutil.copytree(videos, tmp_path / "copy"))
    told = replace_one(other)
    assert refused(xpand("resume", run, "--data", other)) == (
        f"error: the videos of copy must be as when the run was started, but {told}: put them back, or start "
        "another run."
    )
    assert refused(xpand("resume", run, "--data", tmp_path / "none")) == (
        f"error: --data must be the folder that the videos are in now, got {tmp_path / 'none'}: "
        "no such folder."
    )
    assert (run / "config.yaml").read_bytes() == config


def replace_one(videos: Path) -> str:
    shutil.copyfile(videos / "up" / "0.mp4", videos / "left" / "3.mp4")
    return "left/3.mp4: changed"


def take_some(videos: Path) -> str:
    for number in range(4):
        (videos / "left" / f"{number}.mp4").unlink()
    return "left/0.mp4, left/1.mp4, left/2.mp4 and 1 more: missing"


def add_one(videos: Path) -> str:
    shutil.copyfile(videos / "up" / "0.mp4", videos / "left" / "9.mp4")
    return "left/9.mp4: new"


@pytest.mark.fault("videos replaced, taken or added under a run", "refused by name, exit 2, nothing decoded")
@pytest.mark.parametrize("change", [replace_one, take_some, add_one])
def test_videos_that_changed_under_a_run_are_named(
    videos: Path, tmp_path: Path, xpand: Xpand, change: Callable[[Path], str]
) -> None:
    run = started(config_of(videos, tmp_path), tmp_path / "run").folder
    caches = sorted((tmp_path / "cache").iterdir())
    told = change(videos)
    assert refused(xpand("resume", run)) == (
        f"error: the videos of videos must be as when the run was started, but {told}: put them back, or "
        "start another run."
    )
    assert sorted((tmp_path / "cache").iterdir()) == caches


def test_videos_that_were_put_back_are_those_of_the_run(videos: Path, tmp_path: Path, motions: Path) -> None:
    config = config_of(videos, tmp_path)
    wanted = prepared(config).setup.data
    told = replace_one(videos)
    with pytest.raises(UserError, match=told):
        decode(plan(config), Quiet().caching, wanted)
    shutil.copyfile(motions / "left" / "3.mp4", videos / "left" / "3.mp4")
    assert decode(plan(config), Quiet().caching, wanted).setup.data == wanted


class Meddled(FileSource):
    """Videos one of which is written anew when the last is decoded."""

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        if items[-1] == self.splits["val"][-1]:
            replace_one(self.root)
        return FileSource.read(self, items, moments, short_side=short_side)


@pytest.mark.fault(
    "a video replaced while videos are decoded", "stopped by name; what was decoded is not used"
)
def test_a_video_that_changes_while_it_is_decoded_stops_the_run(
    videos: Path, tmp_path: Path, motions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SHARD_BYTES", (1, 1))
    config = configured(videos, tmp_path / "cache")
    source = open_source(config)
    meddled = Meddled(**{field.name: getattr(source, field.name) for field in fields(FileSource)})
    with pytest.raises(RunFailed) as caught:
        open_cache(meddled, NEEDS, config)
    assert str(caught.value) == (
        "the videos must stay as they are while they are decoded, but changed: left/3.mp4; start again."
    )
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert not (folder / "index.json").exists()
    assert len([*folder.glob("shard-*.bin")]) == 17, "what was decoded of the others is kept"
    os.utime(shutil.copyfile(motions / "left" / "3.mp4", videos / "left" / "3.mp4"))
    assert len(open_cache(source, NEEDS, config).bad) == 0
