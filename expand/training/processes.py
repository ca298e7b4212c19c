"""Trains one network in several processes, started by torchrun, with DistributedDataParallel.

A process that torchrun did not start is a single process, for which every function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from expand.data.clips import WHOLE, Share

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """The processes of a training, as one of them sees them.

    Attributes:
        share: this process's rank, and the number of processes.
        local: this process's rank on its machine, which is also the number of its GPU.
        local_count: the number of processes on this machine.
    """

    share: Share = WHOLE
    local: int = 0
    local_count: int = 1

    @classmethod
    def of_torchrun(cls) -> Processes:
        """The processes that torchrun's environment variables describe; without these, a single process."""
        rank = {name: int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK")}
        count = {name: int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
        return cls(
            share=Share(rank=rank["RANK"], ranks=count["WORLD_SIZE"]),
            local=rank["LOCAL_RANK"],
            local_count=count["LOCAL_WORLD_SIZE"],
        )

    @property
    def count(self) -> int:
        """The number of processes, on all machines."""
        return self.share.ranks

    @property
    def leads(self) -> bool:
        """Whether this process, of rank 0, is the one that writes files and messages."""
        return self.share.rank == 0

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """A context in which the processes are connected, by NCCL on CUDA and by Gloo elsewhere."""
        if device == "cuda":
            torch.cuda.set_device(self.local)
        if self.count == 1:
            yield
            return
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def parallel(self, network: nn.Module, device: str) -> nn.Module:
        """The network, wrapped so that its gradients are averaged over all processes."""
        if self.count == 1:
            return network
        own = [self.local] if device == "cuda" else None
        # Each process keeps its own BatchNorm statistics until an evaluation; see full/precise_norm.py.
        return DistributedDataParallel(network, device_ids=own, broadcast_buffers=False)

    def broadcast(self, make: Callable[[], T]) -> T:
        """Call `make` in the leading process, and return its value in every process."""
        made: list[Any] = [make() if self.leads else None]
        if self.count > 1:
            distributed.broadcast_object_list(made)
        value: T = made[0]
        return value

    def summed(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        """The sum of the values over all processes (all-reduce), on the CPU."""
        if self.count == 1:
            return values
        numbers = torch.from_numpy(values).to(device)
        distributed.all_reduce(numbers)
        return numbers.cpu().numpy()

    def average(self, value: Tensor) -> None:
        """Replace a tensor by its mean over all processes, in place."""
        if self.count > 1:
            distributed.all_reduce(value)
            value.div_(self.count)


ALONE = Processes()


def without_exchange(network: nn.Module) -> AbstractContextManager[object]:
    """A context in which processes do not average gradients: for all micro-batches of a step but the last."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()
