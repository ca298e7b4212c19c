from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all runs of the tests keep their decoded clips."""
    return tmp_path_factory.mktemp("cache")
