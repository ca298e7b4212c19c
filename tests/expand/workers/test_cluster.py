"""What a Ray cluster must be like, in the words that its user is told."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from expand.config.run import RayConfig
from expand.system.errors import RunFailed, UserError
from expand.system.version import VERSION
from expand.workers import cluster as cluster_module
from expand.workers.cluster import Cluster, _do
from tests.expand.commands import Xpand, refused
from tests.expand.runs import toy_config


def connected(cluster: Any, **config: Any) -> Cluster:
    return Cluster.connect(RayConfig(address=cluster.address, **config), cpus=1)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, xpand: Xpand) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refused(xpand("search", "--workers", "ray")) == (
        "error: --workers ray needs the package ray, which is not installed: install it with "
        "`pip install 'xpand[ray]'`, or choose a number of local workers."
    )


@pytest.mark.slow
def test_an_address_without_a_cluster_is_refused() -> None:
    pytest.importorskip("ray")
    from expand.bench.clusters import disconnect

    disconnect()
    with pytest.raises(UserError) as caught:
        Cluster.connect(RayConfig(address="nowhere"), cpus=1)
    assert str(caught.value) == (
        "run.ray.address must be that of a Ray cluster, got 'nowhere': Invalid address format: nowhere. "
        "Start one with `ray start --head`, or name another."
    )


@pytest.mark.slow
def test_what_no_node_has_is_named(cluster: Any) -> None:
    with pytest.raises(UserError) as caught:
        connected(cluster, gpus=0.25, resources={"big": 2}).check([])
    assert str(caught.value) == (
        "the Ray cluster must have a node with 1 CPU, 0.25 GPU, 2 big, which a candidate takes, but it has "
        "none: add one, or set run.ray.cpus, run.ray.gpus or run.ray.resources lower."
    )


@pytest.mark.slow
def test_a_folder_that_a_node_does_not_see_is_named(cluster: Any, tmp_path: Path) -> None:
    found = connected(cluster)
    found.check([tmp_path])
    with pytest.raises(UserError) as caught:
        found.check([tmp_path, tmp_path / "elsewhere"])
    assert str(caught.value) == (
        f"{tmp_path / 'elsewhere'} must be on a disk that all nodes of the Ray cluster share, but "
        f"{socket.gethostname()} does not see it: choose --out and data.cache.folder there."
    )


@pytest.mark.slow
def test_another_version_is_named(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = connected(cluster)
    monkeypatch.setattr(cluster_module, "VERSION", "99.0")
    with pytest.raises(UserError) as caught:
        found.check([])
    assert str(caught.value) == (
        f"every node of the Ray cluster must have xpand 99.0, but {socket.gethostname()} has {VERSION}: "
        "install the same there."
    )


@pytest.mark.slow
def test_a_node_that_cannot_import_xpand_is_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the driver has and the nodes have not, as xpand itself would be."""
    found = connected(cluster)
    (tmp_path / "only_here.py").write_text("def look(folders):\n    return '', '', []\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here  # type: ignore[import-not-found]

    monkeypatch.setattr(cluster_module, "_look", only_here.look)
    name = found.nodes()[0]["NodeName"]
    with pytest.raises(UserError) as caught:
        found.check([])
    assert str(caught.value) == (
        f"every node of the Ray cluster must be able to import xpand, but {name} is not: "
        f"install xpand {VERSION} there."
    )


def test_a_node_without_the_run_stops_it_by_name(tmp_path: Path) -> None:
    """A node that came later, whose disk is another."""
    with pytest.raises(RunFailed) as caught:
        _do("expand.training.candidate:run_job", str(tmp_path / "job"), str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path / 'job'} must be on a disk that all nodes of the Ray cluster share, but "
        f"{socket.gethostname()} does not see it; resume with --out and data.cache.folder there."
    )


@pytest.mark.slow
def test_a_task_that_is_lost_while_the_cluster_is_timed_says_to_try_again(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connected(cluster)
    monkeypatch.setattr(cluster_module, "_time", _die)
    with pytest.raises(RunFailed) as caught:
        found.time(toy_config(), {}, "cpu", 1)
    told = str(caught.value)
    assert told.startswith("the Ray cluster lost a task (")
    assert told.endswith("): try again.")


def _die(*_: object) -> None:
    import os

    os._exit(1)
