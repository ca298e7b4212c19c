"""Workers that are killed while they train, and machines that go away."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expand.bench.clusters import add_node, disconnect, ray_cluster
from expand.config.search import Config
from expand.jobs.folder import read_attempts, read_progress
from expand.run.driver import drive
from expand.run.record import read_run
from expand.run.study import Run
from expand.system.errors import RunFailed
from expand.workers import cluster as cluster_module
from tests.expand.commands import ROOT
from tests.expand.faults.processes import checksums, wait_for
from tests.expand.faults.spaces import NAME
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config

pytestmark = pytest.mark.slow

DIED = {2: "the worker was ended by SIGKILL, which is what the system does when memory runs out",
        "ray": "the Ray worker was lost (WorkerCrashedError)"}  # fmt: skip


def slow_config(cache: Path, kind: object, address: str = "", **settings: Any) -> Config:
    """A search of three trainings of half a second each: 12 epochs of two steps."""
    return toy_config(
        cache,
        space={"name": NAME, "settings": {"pause": 0.02, "faults": ["wide"], **settings}},
        search={"targets": [1_000]},
        training={"epochs": 12, "batch_size": 12, "dropout": 0.3},
        run={"workers": kind, "ray": {"address": address or "auto"}},
    )


def when(folder: Path, clips: int, do: Callable[[Path], None]) -> threading.Thread:
    """Do something when a job of a run has come so far from now on, once."""
    now = time.time()

    def watch() -> None:
        def found() -> Path | None:
            for job in (folder / "checkpoints").glob("*"):
                if (progress := read_progress(job)) is None or not clips <= progress.clips < progress.total:
                    continue
                if (job / "progress.json").stat().st_mtime > now:
                    return job
            return None

        job = wait_for(found, 60)
        assert job is not None
        do(job)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def kill_worker(job: Path) -> None:
    os.kill(read_attempts(job)[-1].process, signal.SIGKILL)


@pytest.mark.fault("kill -9 of a worker in training", "goes on from its last epoch; equal bytes")
@pytest.mark.parametrize("kind", [2, "ray"])
def test_a_killed_worker_is_followed_by_one_that_goes_on(
    tmp_path: Path, cache: Path, kind: Any, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("cluster").address if kind == "ray" else ""
    whole, path = run_search(tmp_path / "whole", slow_config(cache, 1))
    killer = when(tmp_path / "run", 6 * 24, kill_worker)
    run, same_path = run_search(tmp_path / "run", slow_config(cache, kind, address))
    killer.join()
    assert same_path == path
    assert checksums(run.folder) == checksums(whole.folder)
    assert f"{DIED[kind]}; trying again (1 of 3)" in (run.folder / "log.txt").read_text()
    cut = [row for row in read_run(run.folder).attempts if row.state == "cut off"]
    assert len(cut) == 1
    log = (run.folder / "checkpoints" / cut[0].job / "log.txt").read_text()
    epoch = float(log.split("continuing from epoch ")[1].split()[0])
    assert 5 <= epoch <= 11
    assert not list(run.folder.glob("checkpoints/*/epochs"))


@pytest.mark.fault("all workers lost, again and again", "exit 1, nothing recorded, resumable")
@pytest.mark.parametrize("kind", [2, "ray"])
def test_workers_that_all_die_end_the_run_and_not_the_candidates(
    tmp_path: Path, cache: Path, kind: Any, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("cluster").address if kind == "ray" else ""
    deadly = tmp_path / "deadly"
    config = slow_config(cache, kind, address, deadly_while=str(deadly), pause=0.0)
    alone = config.model_copy(update={"run": toy_config().run})
    whole, _ = run_search(tmp_path / "whole", alone)
    ready = prepared(config)
    run = Run.create(tmp_path / "run", config, ready.setup.data)
    deadly.touch()
    with pytest.raises(RunFailed) as caught:
        drive(run, ready, SPEED, Quiet())
    assert str(caught.value) == (
        f"all workers were lost: {DIED[kind]}, 4 times; check the machine and resume."
    )
    assert run.results() == {}
    deadly.unlink()
    drive(run, ready, SPEED, Quiet())
    assert checksums(run.folder) == checksums(whole.folder)


@pytest.mark.fault("a node of the Ray cluster lost", "its candidate goes on elsewhere; equal bytes")
@pytest.mark.fault("the last node of the Ray cluster lost", "exit 1, resumable")
def test_nodes_that_go_away(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "WITHOUT_NODES", 3.0)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where the nodes find the spaces of the tests
    monkeypatch.setenv("RAY_health_check_period_ms", "300")  # a node that does not answer is soon missed
    disconnect()
    whole, _ = run_search(tmp_path / "whole", slow_config(cache, 1))
    with ray_cluster(0) as cluster:
        nodes = [add_node(cluster, 1), add_node(cluster, 1)]
        config = slow_config(cache, "ray", cluster.address)
        ready = prepared(config)
        assert ready.machine.workers == 2
        run = Run.create(tmp_path / "run", config, ready.setup.data)

        def lose_both(job: Path) -> None:
            for node in nodes:
                cluster.remove_node(node, allow_graceful=False)

        loser = when(run.folder, 6 * 24, lose_both)
        with pytest.raises(RunFailed) as caught:
            drive(run, ready, SPEED, Quiet())
        loser.join()
        assert str(caught.value) == (
            "all workers are lost: the Ray cluster has no node left with 1 CPU; add one and resume."
        )
        nodes = [add_node(cluster, 1), add_node(cluster, 1)]

        def lose_its_node(job: Path) -> None:
            cluster.remove_node(nodes[0], allow_graceful=False)

        loser = when(run.folder, 6 * 24, lose_its_node)
        drive(run, replace(ready), SPEED, Quiet())
        loser.join()
        assert checksums(run.folder) == checksums(whole.folder)
