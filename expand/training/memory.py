"""The memory of one training: its share of a device, and its peak."""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from pathlib import Path

import torch

from expand.training.free_memory import ran_out

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def device_bytes() -> int:
    """The memory of the CUDA device."""
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; on the CPU, torch's is told by its words alone."""
    return isinstance(error, torch.OutOfMemoryError) or ran_out(error)


def limit_memory(device: str, share: float) -> None:
    """Hold this process to a share of the device's memory.

    So it depends on the candidate alone whether memory runs out, not on those trained beside it.
    """
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)


def release_memory(device: str) -> None:
    """Give back what nobody holds any more; CUDA graphs hold theirs until they are collected."""
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def reset_peak(device: str) -> None:
    """Start counting anew, where the system can: CUDA, and processes on Linux."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")  # resets VmHWM


def peak_bytes(device: str) -> int:
    """The most memory held since `reset_peak`: of the device on CUDA, else of this process."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
