from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from expand.bench.clusters import ray_cluster
from tests.expand.commands import ROOT
from tests.expand.data.videos import write_classes


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all runs of the tests keep their decoded clips."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of six videos of a second each; not to be changed."""
    return write_classes(tmp_path_factory.mktemp("data") / "motions", {"left": 6, "right": 6, "up": 6})


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes with a CPU each, for all tests that leave it as it is."""
    pytest.importorskip("ray")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(ROOT))  # where the nodes find the spaces of the tests
            found = stack.enter_context(ray_cluster(1, 1))
        yield found
