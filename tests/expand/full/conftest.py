"""A small network, and its finished training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from expand.data.synthetic import CLASSES
from tests.expand.commands import Xpand
from tests.expand.full.trainings import train
from tests.expand.models import write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny.yaml", CLASSES)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the training is that `trained` copies."""
    return tmp_path_factory.mktemp("once") / "trained"


@pytest.fixture
def trained(tmp_path: Path, once: Path, xpand: Xpand, cache: Path) -> Path:
    """A finished training with a validation after each epoch, as a folder of the test's own."""
    if not once.exists():
        tiny = write_tiny(once.parent / "tiny.yaml", CLASSES)
        done = train(xpand, cache, tiny, once, "--set", "training.validate_epochs=1")
        assert done.returncode == 0, done.stderr
    return Path(shutil.copytree(once, tmp_path / "trained"))
