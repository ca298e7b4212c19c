"""How much memory this process may still take: what the machine, its cgroups and the process's limit leave.

Bytes throughout. Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_SHARE = 0.9  # of what is available, for trainings and tests: the rest is for what nobody foresees
_PROCESS = 250_000_000  # what a worker's process takes before it trains, besides what it shares with others
_UNLIMITED = 1 << 60  # what cgroup v1 says where nothing limits it lies above
_COMPILER = ("torch._dynamo", 260_000_000)  # what torch imports with the first optimizer, and its addresses
_OTHER_THREADS = 3  # that read ahead, compute gradients, report
_THREAD = 72 << 20  # addresses that a thread takes: its stack, and an arena of the C library

_SHORT = (  # how torch, its libraries and the C++ below them say it, on the CPU
    "can't allocate memory",
    "bad_alloc",
    "could not create a memory",  # oneDNN, as the next
    "could not create a primitive",
    "Cannot allocate memory",
)


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: but for Python's own, its words tell."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _SHORT)


def free_memory(threads: int, *, given: int | None = None) -> int | None:
    """What a training or a test in this process may take.

    Args:
        threads: that it computes with.
        given: what it may take of the machine; None: what is available.
    """
    if given is None and (available := machine_bytes()) is not None:
        given = round(_SHARE * available)
    return min((each for each in (given, address_bytes(threads)) if each is not None), default=None)


def worker_memory(workers: int, root: Path = _ROOT) -> int | None:
    """What each of so many workers may take of the machine; None where nothing says what there is."""
    if (available := machine_bytes(root)) is None:
        return None
    return max(0, round(_SHARE * available / workers) - (_PROCESS if workers > 1 else 0))


def machine_bytes(root: Path = _ROOT) -> int | None:
    """What the machine has available and every cgroup of this process leaves; None where nothing says.

    Pages of files count as available: they are given up when memory is wanted.
    """
    found = [_physical(root), *_cgroups(root)]
    return min((room for room in found if room is not None), default=None)


def address_bytes(threads: int, root: Path = _ROOT) -> int | None:
    """What RLIMIT_AS (`ulimit -v`) leaves of addresses, besides those of so many threads; None: no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(0, soft - _held(root) - (threads + _OTHER_THREADS) * _THREAD)


@functools.cache
def _held(root: Path) -> int:
    """The addresses of this process when it was first asked, before trainings that leave some to the next."""
    to_come = 0 if _COMPILER[0] in sys.modules else _COMPILER[1]
    return (_field(root / "proc/self/status", "VmSize:") or 0) + to_come


def _physical(root: Path) -> int | None:
    if (available := _field(root / "proc/meminfo", "MemAvailable:")) is not None:
        return available
    with contextlib.suppress(ValueError, OSError):  # a system without /proc
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _cgroups(root: Path) -> Iterator[int | None]:
    """What each cgroup of this process leaves, from its own up to the root's; of version 1 and 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for number, kinds, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if number == "0":
            tops, limit, used, idle = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], "max", "current", ""
        elif "memory" in kinds.split(","):
            tops, limit, used, idle = ["sys/fs/cgroup/memory"], "limit_in_bytes", "usage_in_bytes", "total_"
        else:
            continue
        for top in (root / each for each in tops):
            own = top / path.strip("/")  # in a container it may not be there, but its limit at the top is
            for folder in (own, *(above for above in own.parents if above.is_relative_to(top))):
                yield _left(folder, f"memory.{limit}", f"memory.{used}", f"{idle}inactive_file")


def _left(folder: Path, limit: str, used: str, idle: str) -> int | None:
    try:
        most = (folder / limit).read_text().strip()
        if not most.isdecimal() or int(most) >= _UNLIMITED:  # `max`
            return None
        pages = _field(folder / "memory.stat", idle, unit=1) or 0
        return max(0, int(most) - int((folder / used).read_text()) + pages)
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str, unit: int = 1024) -> int | None:
    """A number of a file with a name and a value a line."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1]) * unit
    return None
