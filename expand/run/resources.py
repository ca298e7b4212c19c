"""Chooses the workers of a search by the `run` section of its config: their number, device and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from expand.config.search import Config
from expand.search.forecast import Speed
from expand.search.setup import Setup
from expand.system.cores import cores
from expand.training.free_memory import free_memory, worker_memory
from expand.training.memory_forecast import Foresight, foresee, measure_by
from expand.workers import TRAINER, Workers, open_workers

if TYPE_CHECKING:
    from expand.workers.cluster import Cluster

_MOST_WORKERS = 6  # a round has about six candidates
_MOST_ON_GPU = 4  # enough that one computes while others read their clips
# Bytes of GPU memory for each worker. A training of X3D-M with 16 clips takes about 8.4 GB, counting three
# bfloat16 numbers for each of its activations, which are kept for the gradients: the outputs of convolution,
# norm and activation function.
_GPU_BYTES = 10e9
_ALLOCATED = 0.9  # share of a GPU's memory for the workers' tensors; CUDA itself takes some for each worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The workers that train candidates: how many, and on which device.

    Attributes:
        workers: number of candidates that are trained at a time.
        threads: number of CPU threads of each worker.
        device: cpu, cuda or mps.
        gpus: names of the CUDA devices that local workers are spread over; empty where there is at most one.
        cluster: the Ray cluster that the workers run on; None for this machine.
        memory: bytes of memory that each worker on a CPU may take; None for no limit.
    """

    workers: int
    threads: int
    device: str
    gpus: tuple[str, ...] = ()
    cluster: Cluster | None = None
    memory: int | None = field(default=None, compare=False)  # changes with the free memory

    @classmethod
    def of(cls, config: Config) -> Machine:
        """Choose the workers for a config.

        Where the config leaves their number open, there is one worker for each CPU core, six at most; on CUDA
        up to four workers for each device, with 10 GB of its memory each; and one worker on MPS. Where it
        leaves the threads open, the cores are divided among the workers.

        Raises:
            UserError: the machine has no such device, or there is no such cluster.
        """
        from expand.training.devices import choose_device

        options = config.run
        if options.workers == "ray":
            return cls._on_ray(config)
        device = choose_device(options.device)
        gpus = _gpus() if device == "cuda" else ()
        workers = options.workers or _usual_workers(device, max(1, len(gpus)))
        return cls(
            workers=workers,
            threads=options.threads or max(1, cores() // workers),
            device=device,
            gpus=gpus,
            memory=worker_memory(workers) if device == "cpu" else None,
        )

    @classmethod
    def _on_ray(cls, config: Config) -> Machine:
        from expand.training.devices import choose_device
        from expand.workers.cluster import Cluster

        options = config.run
        threads = options.threads or max(1, int(options.ray.cpus or 1))
        cluster = Cluster.connect(options.ray, options.ray.cpus or threads)
        cluster.check([])
        device: str = options.device
        if device == "auto":
            device = "cuda" if options.ray.gpus else "cpu"
        elif not options.ray.gpus:
            device = choose_device(device)
        return cls(workers=cluster.capacity(), threads=threads, device=device, cluster=cluster)

    @property
    def decoders(self) -> int:
        """Number of processes that decode videos, on this machine, before the search."""
        return cores() if self.cluster is not None else min(cores(), self.workers * self.threads)

    @property
    def memory_share(self) -> float:
        """The share of a CUDA device's memory, from 0 to 1, that each worker may take."""
        if self.cluster is not None:
            gpus = self.cluster.config.gpus
            return _ALLOCATED * gpus if 0 < gpus < 1 else 1.0
        on_one = -(-self.workers // max(1, len(self.gpus)))
        return 1.0 if on_one == 1 else _ALLOCATED / on_one

    @property
    def described(self) -> str:
        """The workers in words, such as `2 workers on cpu`."""
        where = " of a Ray cluster" if self.cluster is not None else ""
        return f"{self.workers} worker{'s' * (self.workers != 1)}{where} on {self.device}"

    @property
    def repeats(self) -> str:
        """Whether a repetition of the search on other machines gives the same result, in words."""
        if self.device != "cpu":
            return f"not promised: {self.device} may add up in another order, and close decisions may differ"
        if self.threads > 1:
            return (
                f"with {self.threads} threads a candidate; another number of threads rounds differently "
                "(run.threads=1 is the same for any number of workers)"
            )
        return "exactly, with any number of workers"

    @contextmanager
    def open(self, folders: Sequence[Path], trainer: str = TRAINER) -> Iterator[Workers]:
        """Start the workers, and end them with the block.

        Args:
            folders: folders that every worker must be able to read, which is checked on a cluster.
            trainer: the function that does a job, as `module:function`; its argument is the job's folder.

        Raises:
            UserError: a node of the cluster does not see a folder, or has another version of xpand.
        """
        if self.cluster is None:
            with open_workers(self.workers, gpus=self.gpus, trainer=trainer) as workers:
                yield workers
            return
        from expand.workers.supervisor import Supervised

        self.cluster.check(folders)
        with self.cluster.engine(trainer) as engine:
            yield Supervised(engine)

    def fitting(self, setup: Setup) -> Machine:
        """Return a Machine with no more workers than fit into memory, if the config leaves their number open.

        It has the largest number of workers, at least one, with which each has memory for the whole largest
        batch of the forecast. The threads of each worker are kept, since they decide how numbers are rounded.
        """
        if self.memory is None or setup.config.run.workers is not None:
            return self
        found = self.foresee(setup)
        assert found is not None, "with a limit for memory there is a forecast"
        for workers in range(self.workers, 0, -1):
            memory = worker_memory(workers)
            if workers == 1 or memory is None or self._room(memory) >= found.needed:
                return replace(self, workers=workers, memory=memory)
        return self

    def foresee(self, setup: Setup) -> Foresight | None:
        """Forecast whether a search's networks fit into memory; None where the memory is not known."""
        if self.memory is None:
            return None
        from expand.training.footprint import way_of

        return foresee(setup, self._room(self.memory), measure_by(setup, way_of(self.device)))

    def _room(self, memory: int) -> int:
        """Return the bytes that a worker's tensors may take, of the `memory` bytes that the worker has."""
        found = free_memory(self.threads, given=memory)
        assert found is not None, "free memory is known where a limit is given"
        return found

    def time(self, setup: Setup) -> Speed:
        """Measure the workers' speed by training small networks for a few steps."""
        if self.cluster is not None:
            found = self.cluster.time(setup.config, asdict(setup.data), self.device, self.threads)
            return Speed.of(found)
        from expand.training.calibrate import calibrate

        return calibrate(setup, device=self.device, threads=self.threads, workers=self.workers)


def _usual_workers(device: str, gpus: int) -> int:
    from expand.training.memory import device_bytes

    if device == "cuda":
        return max(1, min(cores(), gpus * min(_MOST_ON_GPU, int(device_bytes() / _GPU_BYTES))))
    return min(cores(), _MOST_WORKERS) if device == "cpu" else 1


def _gpus() -> tuple[str, ...]:
    """Return the names of the CUDA devices, as in CUDA_VISIBLE_DEVICES, or nothing for fewer than two."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",")[:count] if named else [str(number) for number in range(count)]
    return tuple(names) if count > 1 else ()
