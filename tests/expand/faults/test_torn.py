"""Files that are torn, empty or full of other bytes, put there as a crash of the machine would leave them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from expand.data.cache_reader import open_built
from expand.jobs.folder import read_result
from expand.run.driver import drive
from expand.run.study import Run
from expand.system.errors import RunFailed
from expand.training.checkpoints import newest
from tests.expand.commands import Xpand
from tests.expand.data.caches import Watcher, everything, opened
from tests.expand.faults.processes import checksums
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config

Damage = Callable[[Path], None]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


DAMAGES = [empty, cut, garbled]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    run, _ = run_search(tmp_path_factory.mktemp("torn") / "run", toy_config(cache))
    return run.folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def unrecorded(folder: Path, config_of: Path) -> Run:
    """A run whose study knows of nothing yet, with the job folders of a finished one."""
    known = Run.open(config_of)
    run = Run.create(folder, known.config, known.data)
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(config_of / "checkpoints", folder / "checkpoints")
    return run


@pytest.mark.fault("a torn or empty study.db", "refused by name, exit 2, left as it is")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("verb", ["resume", "status"])
def test_a_damaged_study_is_refused(run: Path, xpand: Xpand, damage: Damage, verb: str) -> None:
    study = run / "study.db"
    damage(study)
    content = study.read_bytes()
    done = xpand(verb, run)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {study} must hold one whole Optuna study, but it cannot be read: ")
    assert done.stderr.endswith(
        "; put back a copy of it, or start a new run with what is in checkpoints/ (docs/workers.md).\n"
    )
    assert done.stderr.count("\n") == 1
    assert study.read_bytes() == content


@pytest.mark.fault("a study that is lost", "made again of its checkpoints; nothing is trained again")
def test_a_lost_study_is_made_again_of_its_checkpoints(whole: Path, tmp_path: Path) -> None:
    run, view = unrecorded(tmp_path / "run", whole), Quiet()
    made = {path: path.stat().st_mtime_ns for path in run.folder.glob("checkpoints/*/result.json")}
    drive(run, prepared(run.config), SPEED, view)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert checksums_of_yaml(run.folder) == checksums_of_yaml(whole)


@pytest.mark.fault("a torn or empty config.yaml", "refused by name, exit 2")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"search: {targets: [4000", "must be YAML, but it cannot be parsed at line 1."),
        (b"\xff\xfe\x00", "must be YAML text in UTF-8."),
        (b"", "must be as when the run was started, but it differs: "),
    ],
)
def test_a_damaged_config_is_refused(run: Path, xpand: Xpand, content: bytes, told: str) -> None:
    config = run / "config.yaml"
    config.write_bytes(content)
    done = xpand("resume", run)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {config} {told}")
    assert done.stderr.count("\n") == 1


@pytest.mark.fault("a torn or empty result, progress or attempts of a job", "set aside; trained again")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["result.json", "progress.json", "attempts.json", "job.json"])
def test_damaged_files_of_a_job_are_set_aside(whole: Path, tmp_path: Path, damage: Damage, name: str) -> None:
    run = unrecorded(tmp_path / "run", whole)
    job = sorted(run.folder.glob("checkpoints/*"))[0]
    damage(job / name)
    if name != "result.json":
        (job / "result.json").unlink()
    drive(run, prepared(run.config), SPEED, Quiet())
    assert read_result(job) is not None
    assert (job / f"{name}.damaged").exists() == (name in ("result.json", "attempts.json"))
    assert checksums_of_yaml(run.folder) == checksums_of_yaml(whole)


@pytest.mark.fault("a torn checkpoint", "set aside by name; goes on from the one before")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside(
    tmp_path: Path, cache: Path, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    config = toy_config(cache, training={"epochs": 4, "dropout": 0.2}, search={"targets": [600]})
    whole, _ = run_search(tmp_path / "whole", config)
    ready = prepared(config)
    run = Run.create(tmp_path / "run", config, ready.setup.data)
    stop_after(run, ready, epochs=3)
    (epochs,) = run.folder.glob("checkpoints/*/epochs")
    last = sorted(epochs.glob("*.pt"))[-1]
    damage(last)
    state, damaged = newest(epochs)
    assert damaged == (last.name,)
    assert state is not None
    assert (epochs / f"{last.name}.damaged").exists()
    drive(run, ready, SPEED, Quiet())
    assert f"continuing from epoch {state['clips'] / 24:.4g}" in caplog.text
    assert f"{last} is cut off or damaged: set aside" in caplog.text
    assert checksums(run.folder) == checksums(whole.folder)


@pytest.mark.fault("a torn cache file", "set aside or built again, by name")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["index.json", "shard-0000.bin", "shard-0000.json", "videos.json"])
def test_damaged_cache_files_are_built_again(
    tmp_path: Path, motions: Path, damage: Damage, name: str
) -> None:
    first = opened(motions, tmp_path)
    file, frames = first.folder / name, everything(first.train)
    content = file.read_bytes()
    damage(file)
    watcher = Watcher()
    again = opened(motions, tmp_path, on_progress=watcher)
    told = {
        "index.json": [f"index.json in {file.parent} damaged: set aside and made again"],
        "shard-0000.bin": [f"shard-0000.bin in {file.parent} damaged: built again"],
    }.get(name, [])
    assert watcher.notes[: len(told)] == told
    assert file.read_bytes() == content or not told
    assert all(map(np.array_equal, everything(again.train), frames))


@pytest.mark.fault("a cache whose index leads elsewhere", "set aside; nothing outside is read or removed")
@pytest.mark.parametrize("file", ["../precious.bin", "/precious.bin", 7])
def test_an_index_that_leads_outside_is_set_aside(tmp_path: Path, motions: Path, file: object) -> None:
    first = opened(motions, tmp_path)
    index = json.loads((first.folder / "index.json").read_text())
    precious = tmp_path / "precious.bin"
    precious.write_bytes(b"precious")
    index["shards"][0]["file"] = file if file != "/precious.bin" else str(precious)
    (first.folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(RunFailed):
        open_built(first.folder)
    watcher = Watcher()
    again = opened(motions, tmp_path, on_progress=watcher)
    assert watcher.notes[0] == f"index.json in {first.folder} damaged: set aside and made again"
    assert precious.read_bytes() == b"precious"
    assert again.train.keys == first.train.keys


def checksums_of_yaml(run: Path) -> dict[str, str]:
    """Of the model files alone: a finished run keeps no weights of its job folders."""
    return {name: value for name, value in checksums(run).items() if name.endswith(".yaml")}


def stop_after(run: Run, ready: object, *, epochs: int) -> None:
    """Drive a run until its first training has left so many epochs behind."""
    from expand.training import candidate

    class Stop(BaseException):
        pass

    left = iter(range(epochs))
    save = candidate.Epochs.save

    def save_and_stop(self: candidate.Epochs, *args: object, **kwargs: object) -> None:
        save(self, *args, **kwargs)  # type: ignore[arg-type]
        if next(left, None) == epochs - 1:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate.Epochs, "save", save_and_stop)
        with pytest.raises(Stop):
            drive(run, ready, SPEED, Quiet())  # type: ignore[arg-type]
