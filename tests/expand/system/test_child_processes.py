from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expand.system.child_processes import ONE_THREAD, PRELOADED

SCRIPT = f"""
import os
import torch

def touched(*_):
    raise SystemExit("a GPU was asked for")

torch.cuda.is_available = torch.cuda.device_count = torch.cuda._lazy_init = touched
import {PRELOADED[0]}
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux only")
def test_what_children_are_forked_from_has_one_thread_and_asked_for_no_gpu() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=ONE_THREAD | {"PATH": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.stderr) == ("1\n", "")
