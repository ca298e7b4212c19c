"""Benchmark of one search by each kind of workers: this process, local processes, a Ray cluster."""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expand.bench.clusters import ray_cluster
from expand.bench.harness import Comparison, Figures, Timing, alternate
from expand.bench.jobs import Quiet, prepared
from expand.config.command_settings import chosen_settings
from expand.config.options import build_config
from expand.config.search import Config
from expand.run.driver import drive
from expand.run.preparation import Prepared
from expand.run.resources import Machine
from expand.run.study import Run
from expand.search.base import Trajectory
from expand.search.forecast import Speed
from expand.system.errors import RunFailed, UserError
from search_spaces.x3d.kernels.build import load_kernels

_WORKERS = 2
_SPEED = Speed(fixed=1e-6, per_mac=1e-9)  # arbitrary: it only matters for time limits, and there are none


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOutcome:
    """The outcome of a search.

    Attributes:
        trajectory: its states and targets.
        models: SHA-256 of each file in the run's folder of models, including weights, by name.
    """

    trajectory: Trajectory
    models: Mapping[str, str]

    @property
    def described(self) -> str:
        """The checksum of trajectory and models, in words."""
        digest = hashlib.sha256(f"{self.trajectory} {dict(self.models)}".encode()).hexdigest()
        return f"SHA-256 {digest[:12]}… over {len(self.models)} files"


def measure_kinds(settings: Sequence[str], *, rounds: int) -> Figures:
    """Measure the seconds of the default search with changed settings, with one thread a candidate.

    It is done by two local processes, by this process alone, and on a Ray cluster of two nodes with a CPU
    each, all on this machine. Starting the workers is included, starting the cluster is not; videos are
    decoded and kernels built before. All kinds of workers must give the same trajectory and the same bytes in
    all models.

    Args:
        settings: changed settings, as for --set.
        rounds: number of timed searches by each kind of workers.

    Raises:
        UserError: Ray is not installed.
        RunFailed: two kinds of workers gave different outcomes.
    """
    _check_ray()
    load_kernels()
    one, several = (_config(settings, {"run.workers": count}) for count in (1, _WORKERS))
    ready = prepared(one)
    outcomes: dict[str, SearchOutcome] = {}
    seconds: dict[str, list[float]] = {}

    def measure(way: str, config: Config) -> None:
        calls: dict[str, Callable[[], object]] = {way: lambda: outcomes.update({way: _search(ready, config)})}
        timing = alternate(calls, rounds=1, scale=1.0, warm_up=0)[way]
        seconds.setdefault(way, []).append(timing.fastest)
        check_same(outcomes)

    for _ in range(rounds):
        measure(f"{_WORKERS} local", several)
        measure("1 local", one)
        with ray_cluster(*[1] * _WORKERS) as cluster:
            on_ray = _config(settings, {"run.workers": "ray", "run.ray.address": cluster.address})
            measure(f"{_WORKERS} on Ray", on_ray)
    same = outcomes["1 local"]
    row = Comparison(
        name="the default search",
        timings={way: Timing.of(values) for way, values in seconds.items()},
        baseline="1 local",
        facts={"models": dict(same.models)},
    )
    return Figures(
        benchmark="workers search",
        unit="s a search",
        rows=[row],
        settings={"rounds": rounds, "set": list(settings)},
        notes=[f"models and trajectory are the same bytes: {same.described}"],
    )


def check_same(outcomes: Mapping[str, SearchOutcome]) -> None:
    """Check that all kinds of workers gave the same outcome.

    Raises:
        RunFailed: an outcome differs from the first; the message says in what.
    """
    (first, wanted), *others = outcomes.items()
    for way, other in others:
        different = sorted({name for name, _ in wanted.models.items() ^ other.models.items()})
        if other.trajectory != wanted.trajectory:
            different.append("the trajectory")
        if different:
            raise RunFailed(
                f"every kind of workers must come to the same, but {way} differs from {first} in "
                f"{', '.join(different)}."
            )


def _search(ready: Prepared, config: Config) -> SearchOutcome:
    """Search in a temporary folder."""
    ready = replace(ready, machine=Machine.of(config))
    with tempfile.TemporaryDirectory() as name:
        run = Run.create(Path(name) / "run", config, ready.setup.data)
        with run.locked():
            trajectory = drive(run, ready, _SPEED, Quiet())
        files = sorted(run.models_folder.iterdir())
        models = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return SearchOutcome(trajectory=trajectory, models=models)


def _config(settings: Sequence[str], workers: Mapping[str, Any]) -> Config:
    same = {"run.threads": 1, "run.device": "cpu", "run.time_limit": None}
    return build_config(None, settings={**chosen_settings(settings), **same, **workers})


def _check_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "bench workers --what search needs the package ray, which is not installed: "
            "install it with `pip install 'xpand[ray]'`."
        )
