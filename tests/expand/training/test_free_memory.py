"""How much memory there is, as files of a made-up system say."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from expand.training.free_memory import address_bytes, free_memory, machine_bytes, ran_out, worker_memory

KB = 1024


def system(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


MEMINFO = {"proc/meminfo": "MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: 3000 kB\n"}


def test_without_cgroups_it_is_what_the_machine_has_available(tmp_path: Path) -> None:
    assert machine_bytes(system(tmp_path, MEMINFO)) == 3000 * KB


def test_a_cgroup_of_version_2_leaves_its_limit_less_what_is_used_but_for_pages_of_files(
    tmp_path: Path,
) -> None:
    folder = "sys/fs/cgroup/a/b"
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        f"{folder}/memory.max": "2000000\n",
        f"{folder}/memory.current": "900000\n",
        f"{folder}/memory.stat": "anon 5\ninactive_file 100000\n",
        "sys/fs/cgroup/a/memory.max": "max\n",
        "sys/fs/cgroup/a/memory.current": "900000\n",
    }
    root = system(tmp_path, MEMINFO | files)
    assert machine_bytes(root) == 1_200_000
    (root / "sys/fs/cgroup/a/memory.max").write_text("1000000\n")  # the one above is tighter
    assert machine_bytes(root) == 100_000


def test_a_cgroup_of_version_1_counts_at_the_top_where_its_own_folder_is_not_to_be_seen(
    tmp_path: Path,
) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/x\n3:cpuset:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "600000\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 50000\n",
    }
    root = system(tmp_path, MEMINFO | files)
    assert machine_bytes(root) == 450_000
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert machine_bytes(root) == 3000 * KB


def test_workers_share_what_is_there(tmp_path: Path) -> None:
    root = system(tmp_path, {"proc/meminfo": "MemAvailable: 40000000 kB\n"})
    alone, four = worker_memory(1, root), worker_memory(4, root)
    assert alone == round(0.9 * 40_000_000 * KB)
    assert four == round(0.9 * 40_000_000 * KB / 4) - 250_000_000


def test_a_limit_on_addresses_counts_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, 10**9))
    monkeypatch.setitem(sys.modules, "torch._dynamo", sys)  # as if all were imported
    root = system(tmp_path, {"proc/self/status": "VmSize: 100000 kB\n"})
    assert address_bytes(1, root) == 10**9 - 100_000 * KB - 4 * (72 << 20)
    assert address_bytes(99, root) == 0
    (root / "proc/self/status").write_text("VmSize: 900000 kB\n")
    assert address_bytes(1, root) == 10**9 - 100_000 * KB - 4 * (72 << 20), (
        "what a training took is not missed"
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    assert address_bytes(1, root) is None
    assert free_memory(1, given=5) == 5


def test_memory_that_ran_out_is_told_by_its_kind_or_its_words() -> None:
    assert ran_out(MemoryError())
    assert ran_out(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert ran_out(RuntimeError("std::bad_alloc"))
    assert not ran_out(RuntimeError("shapes cannot be multiplied"))
