from __future__ import annotations

from pathlib import Path

import pytest

from tests.expand.data.videos import write_classes


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of six videos of a second each; not to be changed."""
    return write_classes(tmp_path_factory.mktemp("data") / "motions", {"left": 6, "right": 6, "up": 6})
