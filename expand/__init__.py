"""Progressive expansion: searches video networks, trains them, and exports them; the command is `xpand`.

Python callers use `expand.run_search`, `expand.load_run` and `expand.load_model`; modules below may change.

import expand
run = expand.run_search(targets=["6M"])                 # as `xpand search` does
run = expand.load_run("results/synthetic")              # trials, rounds, trajectory as pandas frames
model = expand.load_model("results/synthetic/models/target-80M.yaml")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expand.command.session import run_search
    from expand.run.frames import RunFrames, load_run
    from expand.system.errors import RunFailed, UserError
    from expand.weights.models import load_model

__all__ = ["RunFailed", "RunFrames", "UserError", "load_model", "load_run", "run_search"]

_HOMES = {
    "RunFailed": "expand.system.errors",
    "RunFrames": "expand.run.frames",
    "UserError": "expand.system.errors",
    "load_model": "expand.weights.models",
    "load_run": "expand.run.frames",
    "run_search": "expand.command.session",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that the command starts without importing torch or pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module 'expand' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
