"""Progressive expansion: searches video networks, trains them, and exports them; the command is `xpand`.

Python callers use `expand.run_search`, `expand.load_run`, `expand.load_model` and `expand.predict`;
modules below may change.

import expand
run = expand.run_search(targets=["6M"])                 # as `xpand search` does
run = expand.load_run("results/synthetic")              # trials, rounds, trajectory as pandas frames
model = expand.load_model("results/synthetic", "target-80M")
expand.predict("results/target-80M-clips", "jump.mp4")  # as `xpand predict` does
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expand.command.session import run_search
    from expand.predicting.predictor import load_predictor
    from expand.predicting.video import Prediction, predict
    from expand.run.frames import RunFrames, load_run
    from expand.system.errors import RunFailed, UserError
    from expand.weights.models import load_model

__all__ = [
    "Prediction",
    "RunFailed",
    "RunFrames",
    "UserError",
    "load_model",
    "load_predictor",
    "load_run",
    "predict",
    "run_search",
]

_HOMES = {
    "Prediction": "expand.predicting.video",
    "RunFailed": "expand.system.errors",
    "RunFrames": "expand.run.frames",
    "UserError": "expand.system.errors",
    "load_model": "expand.weights.models",
    "load_predictor": "expand.predicting.predictor",
    "load_run": "expand.run.frames",
    "predict": "expand.predicting.video",
    "run_search": "expand.command.session",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that the command starts without importing torch or pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module 'expand' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
