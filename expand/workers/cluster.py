"""Workers on a Ray cluster: Ray schedules jobs and reports lost workers; retries are the supervisor's.

Run folders and the cache of decoded videos must be on a disk that all nodes share: a job is a folder there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expand.config.run import RayConfig
from expand.config.search import Config
from expand.jobs.folder import read_attempts
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.version import VERSION
from expand.workers.base import find_trainer

WITHOUT_NODES = 60.0  # seconds without a node that a candidate fits on, before the run gives up
_STOP = 10.0  # seconds that workers have to end
_AHEAD = 2  # jobs given to Ray for each that can run at a time, so that no node waits for the driver

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster that this process is connected to.

    Attributes:
        config: its address, and the resources of a candidate.
        cpus: number of cores of a candidate.
    """

    config: RayConfig
    cpus: float

    @classmethod
    def connect(cls, config: RayConfig, cpus: float) -> Cluster:
        """Connect this process to a cluster, unless it is connected already.

        Raises:
            UserError: Ray is not installed, or there is no cluster at the address.
        """
        # Without this, Ray prints messages about lost nodes to stdout; the run reports them itself.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        try:
            import ray
        except ImportError:
            raise UserError(
                "--workers ray needs the package ray, which is not installed: "
                "install it with `pip install 'xpand[ray]'`, or choose a number of local workers."
            ) from None
        if not ray.is_initialized():
            before = signal.getsignal(signal.SIGTERM)
            try:
                ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
            except (
                Exception
            ) as error:  # there are many kinds, one for each way in which a cluster can be missing
                raise UserError(
                    f"run.ray.address must be that of a Ray cluster, got {config.address!r}: "
                    f"{first_line(error).rstrip('.')}. Start one with `ray start --head`, or name another."
                ) from None
            finally:
                signal.signal(signal.SIGTERM, before)  # Ray installs its own handler
        return cls(config, cpus)

    @property
    def request(self) -> dict[str, float]:
        """The resources of a node that a candidate takes, by name."""
        taken = {"CPU": self.cpus, "GPU": self.config.gpus, **self.config.resources}
        return {name: amount for name, amount in taken.items() if amount > 0}

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes that a candidate fits on."""
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [
            node
            for node in nodes
            if node["Alive"]
            and all(node["Resources"].get(name, 0) >= amount for name, amount in self.request.items())
        ]

    def capacity(self) -> int:
        """Return how many candidates can be trained at a time."""
        return sum(
            min(int(node["Resources"][name] / amount) for name, amount in self.request.items())
            for node in self.nodes()
        )

    def check(self, folders: Sequence[Path]) -> None:
        """Check that every node sees these folders and has this version of xpand.

        A node that is lost meanwhile is skipped: the run notices it if it loses a job.

        Raises:
            UserError: no node has room for a candidate, or a node does not see a folder or has another
                version; the message says which.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = self.nodes()
        if not nodes:
            raise UserError(
                f"the Ray cluster must have a node with {_show(self.request)}, which a candidate takes, but "
                "it has none: add one, or set run.ray.cpus, run.ray.gpus or run.ray.resources lower."
            )
        look = ray.remote(_look)
        looks = [
            look.options(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote([str(folder.absolute()) for folder in folders])
            for node in nodes
        ]
        for node, asked in zip(nodes, looks, strict=True):
            try:
                host, version, missing = ray.get(asked)
            except ray.exceptions.RayTaskError:
                raise UserError(
                    f"every node of the Ray cluster must be able to import xpand, but {node['NodeName']} is "
                    f"not: install xpand {VERSION} there."
                ) from None
            except ray.exceptions.RayError:
                continue
            if version != VERSION:
                raise UserError(
                    f"every node of the Ray cluster must have xpand {VERSION}, but {host} has {version}: "
                    "install the same there."
                )
            if missing:
                raise UserError(
                    f"{missing[0]} must be on a disk that all nodes of the Ray cluster share, but {host} "
                    "does not see it: choose --out and data.cache.folder there."
                )

    def time(self, config: Config, card: dict[str, Any], device: str, threads: int) -> dict[str, float]:
        """Calibrate the speed of a node, and return the fields of a Speed."""
        import ray

        measured: dict[str, float] = self._get(
            ray.remote(_time)
            .options(**self.options)
            .remote(config.model_dump(mode="json"), card, device, threads, str(Path.cwd()))
        )
        return measured

    @property
    def options(self) -> dict[str, Any]:
        """The options of a Ray task that trains a candidate."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.config.gpus,
            "resources": self.config.resources or None,
            "max_retries": 0,
        }

    @staticmethod
    def _get(task: Any) -> Any:
        import ray

        try:
            return ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None
        except ray.exceptions.RayError as error:
            raise RunFailed(f"the Ray cluster lost a task ({first_line(error)}): try again.") from None

    @contextlib.contextmanager
    def engine(self, trainer: str) -> Iterator[RayTasks]:
        """Open an Engine on this cluster, whose jobs are ended with the block."""
        tasks = RayTasks(self, trainer)
        try:
            yield tasks
        finally:
            tasks.stop()


class RayTasks:
    """An Engine that starts a Ray task for each job."""

    def __init__(self, cluster: Cluster, trainer: str) -> None:
        import ray

        self._cluster, self._trainer = cluster, trainer
        self._do = ray.remote(_do).options(**cluster.options)
        self._folders: dict[Any, Path] = {}
        self._attempts: dict[Path, int] = {}
        self._seen = time.monotonic()

    def has_room(self) -> bool:
        """See `Engine`."""
        return len(self._folders) < _AHEAD * max(1, self._cluster.capacity())

    def start(self, folder: Path) -> None:
        """See `Engine`."""
        self._attempts[folder] = len(read_attempts(folder))
        task = self._do.remote(self._trainer, str(folder.absolute()), str(Path.cwd()))
        self._folders[task] = folder

    def began(self, folder: Path) -> bool:
        """See `Engine`."""
        return len(read_attempts(folder)) > self._attempts[folder]

    def wait(self, seconds: float) -> list[tuple[Path, str | None]]:
        """See `Engine`."""
        import ray

        done, _ = ray.wait([*self._folders], num_returns=1, timeout=seconds)
        if not done:
            self._check_nodes()
        return [(self._folders.pop(task), self._end_of(task)) for task in done]

    def end(self, folder: Path) -> None:
        """See `Engine`."""
        import ray

        task = next(task for task, job in self._folders.items() if job == folder)
        ray.cancel(task, force=True)
        ray.wait([task], timeout=_STOP)
        del self._folders[task]

    def stop(self) -> None:
        """End all jobs."""
        import ray

        with contextlib.suppress(Exception):  # a lost cluster has no jobs any more
            for task in self._folders:
                ray.cancel(task, force=True)
            ray.wait([*self._folders], num_returns=len(self._folders), timeout=_STOP)
        self._folders.clear()

    def _end_of(self, task: Any) -> str | None:
        """Return how a task's worker died; None where it did not."""
        import ray

        try:
            ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None
        except ray.exceptions.RayError as error:
            return f"the Ray worker was lost ({type(error).__name__})"
        return None

    def _check_nodes(self) -> None:
        """Check that a candidate has fitted on some node within the last minute.

        Raises:
            RunFailed: no node has had room for a candidate within that time.
        """
        if self._cluster.nodes():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > WITHOUT_NODES:
            raise RunFailed(
                "all workers are lost: the Ray cluster has no node left with "
                f"{_show(self._cluster.request)}; add one and resume."
            )


def _show(request: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in request.items())


def _do(trainer: str, folder: str, cwd: str) -> None:
    """Do a job, on a node; in the driver's working directory, so that the user's modules can be imported."""
    with contextlib.suppress(OSError):
        os.chdir(cwd)
    if not (Path(folder) / "job.json").exists():
        raise RunFailed(
            f"{folder} must be on a disk that all nodes of the Ray cluster share, but {socket.gethostname()} "
            "does not see it; resume with --out and data.cache.folder there."
        )
    find_trainer(trainer)(Path(folder))


def _look(folders: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return this node's host name, its version of xpand, and the folders that it does not see."""
    return socket.gethostname(), VERSION, [folder for folder in folders if not Path(folder).is_dir()]


def _time(
    config: dict[str, Any], card: dict[str, Any], device: str, threads: int, cwd: str
) -> dict[str, float]:
    from dataclasses import asdict

    from expand.search.setup import DataCard, Setup
    from expand.training.calibrate import calibrate

    with contextlib.suppress(OSError):
        os.chdir(cwd)
    setup = Setup.of(Config.model_validate(config), DataCard.of(card))
    return asdict(calibrate(setup, device=device, threads=threads))
