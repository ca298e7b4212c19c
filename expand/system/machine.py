"""Describes the machine, the versions and the commit of a benchmark's results."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, versions, the date, and the commit (None where this is not a checkout)."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
    }


def _processor() -> str:
    """Return the processor's model name and its widest vector instructions."""
    if not _CPUINFO.exists():
        return platform.processor() or platform.machine()
    lines = dict(
        line.split(":", 1)
        for line in reversed(_CPUINFO.read_text(encoding="utf-8").splitlines())
        if ":" in line
    )
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = fields.get("flags", "").split()
    widest = next((flag for flag in ("amx_tile", "avx512f", "avx2") if flag in flags), platform.machine())
    return f"{fields.get('model name', platform.machine())}, {widest}"


def _commit() -> str | None:
    """Return the commit, with a + if there are uncommitted changes; None where this is not a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(here), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
