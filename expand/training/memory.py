"""The memory of a training: limits its share of a CUDA device, frees memory, and measures the peak."""

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
    """The memory of the current CUDA device, in bytes."""
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on any device; see `ran_out` for the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or ran_out(error)


def limit_memory(device: str, share: float) -> None:
    """Limit this process to a share of the CUDA device's memory.

    So whether memory runs out depends on the candidate alone, not on others that are trained on the device.
    """
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)


def release_memory(device: str) -> None:
    """Return unused memory to the CUDA device, after garbage collection, which frees that of CUDA graphs."""
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def reset_peak(device: str) -> None:
    """Reset the peak of `peak_bytes`, where that is possible: on CUDA, and for processes on Linux."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")  # resets VmHWM


def peak_bytes(device: str) -> int:
    """The peak memory since `reset_peak`, in bytes: of the device on CUDA, else of this process."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
