"""The settings of where and how fast trainings run; no result depends on them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from expand.config.base import Section


class RayConfig(Section):
    """A Ray cluster, for `run.workers: ray`."""

    address: str = Field(
        "auto", description="host:port of the cluster's head node; auto: the cluster that this machine is in"
    )
    cpus: float | None = Field(None, gt=0, description="CPU cores for each training; null: run.threads, or 1")
    gpus: float = Field(
        0.0, ge=0, description="GPUs for each training; with a share such as 0.25, several run on one GPU"
    )
    resources: dict[str, float] = Field(
        default_factory=dict, description="Ray's custom resources for each training, by name"
    )


class RunConfig(Section):
    """Where and how fast trainings run; no result depends on it, so it may change when a run is resumed."""

    workers: int | Literal["ray"] | None = Field(
        None,
        description="trainings at the same time, each in a local process; 1: in this process; ray: as many "
        "as the Ray cluster has room for; null: one for each core, at most 6, and fewer if memory is short; "
        "on a GPU at most 4, and one for each 10 GB of its memory",
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="threads of each training; null: the cores, divided among the workers; on Ray "
        "run.ray.cpus",
    )
    time_limit: float | None = Field(
        10.0,
        gt=1,
        description="a training that takes more than this many times its expected time, plus a minute, is "
        "ended and counts as failed; null: no limit",
    )
    ray: RayConfig = RayConfig()
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="device of the trainings; auto: cuda, mps or cpu, the first that there is"
    )
    keep_weights: bool = Field(
        True, description="keep the weights of accepted networks beside their model files"
    )
    reuse: tuple[Path, ...] = Field(
        (),
        description="folders of other runs on the same videos; what they have measured is taken over instead "
        "of trained again",
    )
    modules: Path | None = Field(
        None,
        description="folder of your own modules (`module:Class`); null: the current folder, which a run "
        "keeps here if it holds them",
    )
    tensorboard: bool = Field(
        False, description="write the curves of every training as event files, into the run's tensorboard/"
    )

    @field_validator("workers", mode="before")
    @classmethod
    def _workers(cls, workers: object) -> object:
        if workers in (None, "ray") or (isinstance(workers, int) and workers >= 1):
            return workers
        raise ValueError(f"must be a number from 1 on, or ray, got {workers!r}")
