"""Disks that are full, or cannot be written: the real thing, on a small disk in memory."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from expand.config.base import load_config, to_yaml
from expand.config.search import Config
from expand.data import cache as cache_module
from expand.data.progress import StageProgress
from expand.run.driver import drive
from expand.run.study import Run
from expand.system.errors import RunFailed
from tests.expand.data.caches import opened, same
from tests.expand.faults.disks import fill, small_disk
from tests.expand.faults.processes import Forked, checksums
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config

pytestmark = pytest.mark.slow

PAGE = 4096
LINE = re.compile(r"failed: (\S+) cannot be written: (.+); make room and resume\.")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path, cache: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(toy_config(cache, search={"targets": [2_000]}, training={"epochs": 3})))
    return path


@pytest.mark.fault("disk full: study, checkpoint, model, report", "one line, exit 1, readable, resumable")
def test_a_full_disk_stops_the_run_wherever_it_is_and_loses_nothing(
    tmp_path: Path, disk: Path, config: Path
) -> None:
    """The disk has room for one page more each time, so that one kind of file after the other fails."""
    whole, _ = run_search(tmp_path / "whole", load_config(config, Config))
    run = Run.create(disk / "run", whole.config, whole.data).folder
    failed, done, tries = set[str](), 0, iter(range(100))

    def resume_with(pages: int) -> str:
        nonlocal done
        filler, output = fill(disk, pages * PAGE), tmp_path / f"output-{next(tries)}"
        said = Forked("resume", run, output=output, figures=True).said(code=1)
        line = LINE.fullmatch(said.strip().splitlines()[-1])
        assert line, said
        assert "Traceback" not in said
        before, done = done, len(Run.open(run).results())  # it can be read on the full disk
        assert done >= before
        filler.unlink()
        name = Path(line[1]).name
        return "model" if Path(line[1]).parent.name == "models" else re.sub(r".+\.pt", "checkpoint", name)

    pages = 0
    while "report.html" not in failed:
        failed.add(resume_with(pages))
        pages += 1
    assert done
    assert checksums(run) == checksums(whole.folder)
    for path in run.glob("models/*.yaml"):
        path.unlink()
    pages = 4
    while "model" not in failed:
        failed.add(resume_with(pages))
        pages += 1
    assert failed >= {"driver.json", "study.db", "checkpoint", "model", "report.html"}
    Forked("resume", run, output=tmp_path / "last").said()
    assert checksums(run) == checksums(whole.folder)


@pytest.mark.fault("disk full: a new run", "one line, exit 1, nothing left behind")
def test_a_new_run_on_a_full_disk_leaves_nothing(tmp_path: Path, disk: Path, config: Path) -> None:
    fill(disk, 3 * PAGE)
    folder, output = disk / "new" / "run", tmp_path / "output"
    told = Forked("search", "--config", config, "--out", folder, output=output).said(code=1)
    assert LINE.fullmatch(told.strip().splitlines()[-1].replace("start again", "resume")), told
    assert [path.name for path in disk.rglob("*")] in (["new"], [".filler", "new"], ["new", ".filler"])


@pytest.mark.fault("disk full: the cache", "one line, exit 1; what was decoded is kept")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_the_decoding(
    tmp_path: Path, disk: Path, motions: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """The estimate says that there is room; another program takes it meanwhile."""
    monkeypatch.setattr(cache_module, "SHARD_BYTES", (1, 1))
    cache = disk / "cache"

    def take_the_room(progress: StageProgress) -> None:
        if progress.what == "decoding videos" and progress.done == 3:
            fill(disk, PAGE)

    with pytest.raises(RunFailed) as caught:
        opened(motions, cache, processes=workers, on_progress=take_the_room)
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert re.fullmatch(
        rf"{folder}/shard-\d+\.(bin|json) cannot be written: No space left on device; make room and start "
        r"again: what was decoded is kept\.",
        str(caught.value),
    )
    assert not (folder / "index.json").exists()
    assert not [*folder.glob(".*.partial")]
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}
    assert len(kept) >= 3
    (disk / ".filler").unlink()
    whole = opened(motions, cache, processes=workers)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert same(whole, opened(motions, tmp_path / "other"))


def test_a_file_that_may_grow_no_further_is_a_full_disk_too(
    tmp_path: Path, cache: Path, config: Path
) -> None:
    """RLIMIT_FSIZE, where no disk may be mounted: the limit lies below the study, a page more each time."""
    ready = prepared(load_config(config, Config))
    run = Run.create(tmp_path / "run", ready.setup.config, ready.setup.data)
    size = (run.folder / "study.db").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(RunFailed) as caught:
            drive(run, ready, SPEED, Quiet())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert LINE.fullmatch(f"failed: {caught.value}")
    assert str(run.folder) in str(caught.value)
    drive(Run.open(run.folder), ready, SPEED, Quiet())
