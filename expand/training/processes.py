"""One training in several processes: DistributedDataParallel, started by torchrun.

In a process that torchrun did not start, everything here is that of a single process.
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
    """Who takes part in a training.

    Attributes:
        share: this process's number, and how many there are.
        local: its number on its machine, which is that of its GPU.
        local_count: how many there are on its machine.
    """

    share: Share = WHOLE
    local: int = 0
    local_count: int = 1

    @classmethod
    def of_torchrun(cls) -> Processes:
        """As torchrun's environment variables tell."""
        number = {name: int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK")}
        count = {name: int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
        return cls(
            share=Share(rank=number["RANK"], ranks=count["WORLD_SIZE"]),
            local=number["LOCAL_RANK"],
            local_count=count["LOCAL_WORLD_SIZE"],
        )

    @property
    def count(self) -> int:
        return self.share.ranks

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.share.rank == 0

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Within it the processes can talk to each other."""
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
        """The network with gradients that are means over all processes."""
        if self.count == 1:
            return network
        own = [self.local] if device == "cuda" else None
        # Statistics of BatchNorm are each process's own until they are needed; see `averaged`.
        return DistributedDataParallel(network, device_ids=own, broadcast_buffers=False)

    def broadcast(self, make: Callable[[], T]) -> T:
        """What the leading process makes, in every process."""
        made: list[Any] = [make() if self.leads else None]
        if self.count > 1:
            distributed.broadcast_object_list(made)
        value: T = made[0]
        return value

    def summed(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        """The sum over all processes."""
        if self.count == 1:
            return values
        numbers = torch.from_numpy(values).to(device)
        distributed.all_reduce(numbers)
        return numbers.cpu().numpy()

    def average(self, value: Tensor) -> None:
        """Put the mean over all processes in place."""
        if self.count > 1:
            distributed.all_reduce(value)
            value.div_(self.count)


ALONE = Processes()


def without_exchange(network: nn.Module) -> AbstractContextManager[object]:
    """Within it, gradients stay with their process: for all but the last part of a batch."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()
