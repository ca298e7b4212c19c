"""The number of CPU cores that this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores the process's affinity allows, or the machine's where that is unknown."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
