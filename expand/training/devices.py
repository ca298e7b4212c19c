"""Where networks are trained and tested, and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from expand.system.errors import UserError

Precision = Literal["auto", "float32", "bfloat16"]


def has_device(device: str) -> bool:
    """Whether torch can use cuda, mps or cpu on this machine."""
    if device == "cuda":
        return torch.cuda.is_available()
    return device == "cpu" or torch.backends.mps.is_available()


def best_device() -> str:
    """The device that `auto` stands for on this machine."""
    return next(device for device in ("cuda", "mps", "cpu") if has_device(device))


def choose_device(wanted: str) -> str:
    """The device that a configuration means on this machine; `auto`: the best one.

    Raises:
        UserError: torch does not find it.
    """
    device = best_device() if wanted == "auto" else wanted
    if not has_device(device):
        raise UserError(
            f"run.device must be one that torch finds on this machine, got {device}: "
            "install a torch that supports it, or choose cpu or auto."
        )
    return device


def prepare(device: str, threads: int, seed: int) -> None:
    """Make what follows a function of its seed: seeds, threads and deterministic algorithms."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(threads)
    # As torch.use_deterministic_algorithms does, which takes seconds to import a compiler first.
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "warn")
    # Else every new tensor is first filled with NaN, for programs that read what they never wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(seed)


def seed_step(device: str, seed: int) -> None:
    """Seed the random numbers of the processor and of the device.

    As torch.manual_seed does, which takes a millisecond, as it also notes what devices that are not there are
    to do should they turn up.
    """
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device == "mps":
        torch.mps.manual_seed(seed)


def place_network(network: nn.Module, device: str) -> nn.Module:
    """The network on its device, channels last: 1.4 to 2 times as fast on CPU as the default layout."""
    network.to(device)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def place_clips(clips: Tensor, device: str) -> Tensor:
    """(B, 3, T, S, S) in the layout of the network."""
    return clips.to(device, memory_format=torch.channels_last_3d, non_blocking=True)


def autocast(device: str, precision: Precision = "auto") -> AbstractContextManager[object]:
    """Products and convolutions in bfloat16, or everything in float32.

    `auto` is bfloat16 on CUDA, where it is faster; full precision on the CPU, where it is slower, and on MPS.
    """
    if precision == "auto":
        chosen = device == "cuda" and torch.cuda.is_bf16_supported()
    else:
        chosen = precision == "bfloat16"
    return torch.autocast(device, dtype=torch.bfloat16) if chosen else nullcontext()
