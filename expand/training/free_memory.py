"""The memory that this process may still take, by the machine's free memory, its cgroups and `ulimit -v`.

All sizes are in bytes. This module imports no torch.
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
_SHARE = 0.9  # share of the available memory for trainings and tests; the rest is a reserve
_PROCESS = 250_000_000  # memory of a worker's process before it trains, without pages shared with others
_UNLIMITED = 1 << 60  # a limit of cgroup v1 from this value on means unlimited
# The module that torch imports with the first optimizer, and the address space that it takes.
_COMPILER = ("torch._dynamo", 260_000_000)
_OTHER_THREADS = 3  # threads besides those that compute: reading ahead, gradients, reports
_THREAD = 72 << 20  # address space of a thread: its stack, and an arena of the C library

_SHORT = (  # messages of torch, its libraries and C++ when memory runs out on the CPU
    "can't allocate memory",
    "bad_alloc",
    "could not create a memory",  # oneDNN, like the next one
    "could not create a primitive",
    "Cannot allocate memory",
)


def ran_out(error: BaseException) -> bool:
    """Whether an exception means that memory ran out on the CPU, by its class or, if torch's, its message."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _SHORT)


def free_memory(threads: int, *, given: int | None = None) -> int | None:
    """The memory that a training or a test in this process may take; None: unknown, and no limit is set.

    Args:
        threads: threads that it computes with.
        given: the memory that it may take of the machine; None: 90 % of what is available.
    """
    if given is None and (available := machine_bytes()) is not None:
        given = round(_SHARE * available)
    return min((each for each in (given, address_bytes(threads)) if each is not None), default=None)


def worker_memory(workers: int, root: Path = _ROOT) -> int | None:
    """The memory that each of `workers` workers may take of the machine; None: unknown.

    Args:
        workers: number of workers.
        root: the root of the file system with proc/ and sys/, for tests.
    """
    if (available := machine_bytes(root)) is None:
        return None
    return max(0, round(_SHARE * available / workers) - (_PROCESS if workers > 1 else 0))


def machine_bytes(root: Path = _ROOT) -> int | None:
    """The memory that is available on the machine and in every cgroup of this process; None: unknown.

    Cached pages of files count as available, since the system frees them on demand.
    """
    found = [_physical(root), *_cgroups(root)]
    return min((room for room in found if room is not None), default=None)


def address_bytes(threads: int, root: Path = _ROOT) -> int | None:
    """The address space that `ulimit -v` (RLIMIT_AS) leaves, less that of the threads; None: no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(0, soft - _held(root) - (threads + _OTHER_THREADS) * _THREAD)


@functools.cache
def _held(root: Path) -> int:
    """The address space of this process at the first call, with that of `_COMPILER`, if it is still to come.

    Later calls give the same value, since memory of an earlier training is reused by the next one.
    """
    to_come = 0 if _COMPILER[0] in sys.modules else _COMPILER[1]
    return (_field(root / "proc/self/status", "VmSize:") or 0) + to_come


def _physical(root: Path) -> int | None:
    """The available memory of the machine, or all its memory on a system without /proc; None: unknown."""
    if (available := _field(root / "proc/meminfo", "MemAvailable:")) is not None:
        return available
    with contextlib.suppress(ValueError, OSError):  # a system without /proc
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _cgroups(root: Path) -> Iterator[int | None]:
    """The memory that each cgroup of this process leaves, from its own up to the root; versions 1 and 2."""
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
            own = top / path.strip("/")  # in a container it may be missing, while `top` has its limit
            for folder in (own, *(above for above in own.parents if above.is_relative_to(top))):
                yield _left(folder, f"memory.{limit}", f"memory.{used}", f"{idle}inactive_file")


def _left(folder: Path, limit: str, used: str, idle: str) -> int | None:
    """The memory that the cgroup in `folder` leaves, by its files' names; None: unlimited or unknown."""
    try:
        most = (folder / limit).read_text().strip()
        if not most.isdecimal() or int(most) >= _UNLIMITED:  # `max`
            return None
        pages = _field(folder / "memory.stat", idle, unit=1) or 0
        return max(0, int(most) - int((folder / used).read_text()) + pages)
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str, unit: int = 1024) -> int | None:
    """The value of `name`, times `unit`, in a file with a name and a number on each line; None: missing."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1]) * unit
    return None
