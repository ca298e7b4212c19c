"""Progressive expansion: how a search space is searched.

import expand
run = expand.run_search(targets=["6M"])                 # as `xpand search` does
run = expand.load_run("results/synthetic")              # trials, rounds, trajectory as pandas frames
model = expand.load_model("results/synthetic/models/target-80M.yaml")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expand.errors import RunFailed, UserError
    from expand.models import load_model
    from expand.runs import RunFrames, load_run
    from expand.session import run_search

__all__ = ["RunFailed", "RunFrames", "UserError", "load_model", "load_run", "run_search"]

_HOMES = {
    "RunFailed": "expand.errors",
    "RunFrames": "expand.runs",
    "UserError": "expand.errors",
    "load_model": "expand.models",
    "load_run": "expand.runs",
    "run_search": "expand.session",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that the command starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'expand' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
