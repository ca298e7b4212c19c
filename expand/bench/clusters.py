"""Starts Ray clusters on this machine, for benchmarks and tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STORE = 80 << 20  # bytes of a node's object store, which is not used


@contextmanager
def ray_cluster(*cpus: int) -> Iterator[Any]:
    """Start a ray.cluster_utils.Cluster with a node for each number of CPUs; the first is the head."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own warnings
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": cpus[0], "include_dashboard": False, "object_store_memory": _STORE},
        )
        for count in cpus[1:]:
            add_node(cluster, count)
    try:
        yield cluster
    finally:
        disconnect()
        cluster.shutdown()  # type: ignore[no-untyped-call]


def add_node(cluster: Any, cpus: int) -> Any:
    """Add a node to a cluster."""
    node = cluster.add_node(num_cpus=cpus, object_store_memory=_STORE)
    cluster.wait_for_nodes()
    return node


def disconnect() -> None:
    """Disconnect this process from its cluster, so that it can connect to another."""
    import ray

    ray.shutdown()
