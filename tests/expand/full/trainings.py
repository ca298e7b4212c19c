"""A small full training through the command, and what it gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.expand.commands import Done, Xpand

DATA = (
    "--data", "synthetic", "--set", "data.synthetic.train=48", "--set", "data.synthetic.val=24",
    "--set", "data.synthetic.size=48",
)  # fmt: skip
SHORT = ("--epochs", 2, "--batch-size", 16, "--set", "run.threads=1", "--set", "run.device=cpu")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(xpand: Xpand, cache: Path, model: object, out: Path, *more: object) -> Done:
    return xpand("train", model, *DATA, *SHORT, "--out", out, *more, cache=cache)


def scored(xpand: Xpand, cache: Path, reference: object, *more: object) -> dict[str, Any]:
    done = xpand("test", reference, *more, "--json", cache=cache)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]
