"""The configuration of a run: YAML in, YAML out, every value checked, unknown keys refused.

`space`, `search`, `data` and `training` decide what is measured; `run` decides only where and how fast, so
it may change when a run is resumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from expand.config.base import Section, validated
from expand.config.targets import parse_target, split_unit

Amount = Annotated[int, BeforeValidator(lambda value: parse_target(value)[0])]


class SpaceConfig(Section):
    """What is searched."""

    name: str = Field("x3d", description="a space by name (x3d), or one's own as module:Class")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the space; for x3d its basis: size (pixels), frames, stride and more",
    )


class SearchConfig(Section):
    """How the space is searched."""

    targets: tuple[Amount, ...] = Field(
        (),
        description="the most that the networks to be found may cost, one each: 80M multiply-adds per clip, "
        "1.5Mparams or 400Kact (activations per clip); all in one unit",
    )
    cost: str = Field(
        "macs",
        description="what targets and steps count: macs, params, activations, or a cost of one's own as "
        "module:Class; a target's unit says it too",
    )
    strategy: str = Field(
        "expansion",
        description="how networks are chosen: expansion, random, or a strategy of one's own as module:Class",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the strategy; for random: networks (drawn for each target) and within (the "
        "share of the target that they may cost less)",
    )
    objective: str = Field(
        "top1",
        description="what candidates are scored by on the validation videos: top1, mean-class-accuracy, mAP "
        "(also for several labels a video), or an objective of one's own as module:Class",
    )
    axes: tuple[str, ...] | None = Field(
        None, description="axes by name, or one's own as module:Class; null: all of the space"
    )
    step: float = Field(2.0, gt=1, description="of expansion: a round may multiply the cost by this much")
    seeds: int = Field(1, ge=1, description="trainings per candidate; selection is by their mean")
    seed: int = Field(0, ge=0, description="the first seed")

    @model_validator(mode="before")
    @classmethod
    def _one_unit(cls, values: Any) -> Any:
        targets = values.get("targets") if isinstance(values, dict) else None
        if not isinstance(targets, list | tuple):
            return values
        split = [split_unit(target) for target in targets]
        named = {cost for _, cost in split if cost is not None}
        named |= {values["cost"]} if named and values.get("cost") else set()
        if len(named) > 1 or (named and "cost" not in values and any(cost is None for _, cost in split)):
            given = ", ".join(map(str, targets))
            raise ValueError(f"targets must have one unit, which cost names too if it is given, got {given}")
        cost = {"cost": named.pop()} if named else {}
        return {**values, "targets": [number for number, _ in split], **cost}

    @field_validator("axes")
    @classmethod
    def _axes(cls, axes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if axes is not None and not axes:
            raise ValueError("name at least one axis, or leave `axes` out to use all of the space's")
        if axes is not None and len(set(axes)) < len(axes):
            raise ValueError(f"name each axis once, got {', '.join(axes)}")
        return axes


class CacheConfig(Section):
    """Where decoded frames are kept."""

    folder: Path | None = Field(None, description="folder of the cache; null: $XDG_CACHE_HOME/xpand")
    limit_gb: float = Field(20.0, gt=0, description="above this many GB, frames are kept as JPEG")


class SyntheticConfig(Section):
    """Clips drawn from a seed (expand/data/synthetic.py)."""

    train: int = Field(1_000, ge=12, description="clips in the training split")
    val: int = Field(500, ge=12, description="clips in the validation split")
    size: int = Field(96, ge=32, description="side of the square frames, in pixels")
    seed: int = Field(0, ge=0, description="the seed that the clips are drawn from")


class DataConfig(Section):
    """The labelled videos."""

    format: str = Field(
        "auto",
        description="how the data lists its videos (docs/data.md): folders, list, multi-label, ucf101, "
        "hmdb51, kinetics, something-something, jester, charades, synthetic, or a reader of one's own as "
        "module:Class; auto: found out by looking, but for multi-label: lists of `video label;label`, each "
        "label with or without its times in seconds (`run 0 2.5`)",
    )
    path: Path | None = Field(None, description="folder of the videos; not for synthetic")
    train: Path | None = Field(None, description="list of the training videos; null: train.txt or train.csv")
    val: Path | None = Field(None, description="list of the validation videos; null: val.* or a split")
    test: Path | None = Field(
        None, description="list of the videos to test on, which no search reads; null: test.*"
    )
    allow_outside: bool = Field(
        False, description="lists may name videos outside of the data's folder, by absolute paths"
    )
    val_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of each class that is set aside for validation, where there is none; null: 0.2, "
        "or where there are videos to test on, these decide",
    )
    split_seed: int = Field(0, ge=0, description="seed of that split")
    official_split: Literal[1, 2, 3] = Field(1, description="which of the three splits of UCF101 and HMDB51")
    frames_fps: float | None = Field(
        None, gt=0, description="frame rate of videos that are folders of pictures; null: the data set's own"
    )
    max_bad_share: float = Field(0.05, ge=0, lt=1, description="stop when more of the videos are bad")
    flip: bool = Field(True, description="flip training clips left to right, half of the time")
    flip_labels: dict[str, str] = Field(
        default_factory=dict, description="classes that swap under a flip, such as {turn-left: turn-right}"
    )
    jitter: tuple[float, float] = Field(
        (1.0, 1.25), description="short side of a training clip before the crop, in crop sizes"
    )
    oversampling: float = Field(
        2.0,
        ge=1,
        description="frames that are kept of a video for each frame of the fastest clip that may be asked "
        "for; a clip's frames are at most 1 / (2 · oversampling) of that clip's stride from their times; "
        "`xpand train`: 4 where nothing is said",
    )
    cache: CacheConfig = CacheConfig()
    synthetic: SyntheticConfig = SyntheticConfig()

    @field_validator("jitter")
    @classmethod
    def _jitter(cls, jitter: tuple[float, float]) -> tuple[float, float]:
        if not 1 <= jitter[0] <= jitter[1]:
            raise ValueError(f"must be two numbers with 1 ≤ low ≤ high, got {list(jitter)}")
        return jitter

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        if isinstance(values, dict) and "ucf101_split" in values:  # as runs before 0.1.0 have it
            values = dict(values)
            values["official_split"] = values.pop("ucf101_split")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.format == "synthetic" and self.path is not None:
            raise ValueError("path must be null for synthetic clips")
        if self.flip_labels and not self.flip:
            raise ValueError("flip_labels needs flip: true")
        return self


# Of DataConfig: where videos are or may be.
PLACES = {"cache", "path", "train", "val", "test", "allow_outside"}


class TrainingBase(Section):
    """What short and full trainings have in common."""

    epochs: float | None

    def clips_of(self, videos: int) -> int:
        """The budget in training clips, for so many videos."""
        return max(1, round((self.epochs or 0) * videos))


class TrainingConfig(TrainingBase):
    """The proxy: how each candidate is trained and validated. The same for all candidates of a run."""

    # Chosen by `xpand bench recipe` on real motion and on the synthetic clips: results/LOG.md, 2026-11-23.

    epochs: float | None = Field(None, gt=0, description="budget in epochs of the training split")
    clips: int | None = Field(None, gt=0, description="budget in training clips, instead of epochs")
    batch_size: int = Field(16, ge=1, description="clips in an optimizer step")
    learning_rate: float = Field(0.05, gt=0, description="peak learning rate, for that batch size")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the budget that warms up linearly from 0")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(True, description="Nesterov's momentum")
    weight_decay: float = Field(5e-5, ge=0, description="weight decay; never on BatchNorm and biases")
    gradient_clip: float | None = Field(
        2.0, gt=0, description="largest norm of the gradient, which is scaled down to it; null: as it is"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of the training loss")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the classifier")
    zero_init: bool = Field(False, description="start the last BatchNorm of each block at zero")
    init: Literal["scratch", "parent"] = Field(
        "scratch",
        description="parent: start from the weights of the network that was grown or contracted, where names "
        "and shapes match",
    )
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="balanced: every class is drawn equally often"
    )
    val_clips: int = Field(1, ge=1, description="clips per validation video, uniform in time, averaged")

    @model_validator(mode="before")
    @classmethod
    def _default_budget(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("epochs") is None and values.get("clips") is None:
            values = {**values, "epochs": DEFAULT_EPOCHS}
        return values

    def clips_of(self, videos: int) -> int:
        return self.clips if self.clips is not None else super().clips_of(videos)

    def epochs_of(self, videos: int) -> float:
        """The budget in epochs of so many videos."""
        return self.epochs if self.epochs is not None else (self.clips or 0) / videos

    def share(self, budget: float) -> TrainingConfig:
        """The same with a share of its budget."""
        if budget == 1:
            return self
        if self.clips is not None:
            return self.model_copy(update={"clips": max(1, round(budget * self.clips))})
        return self.model_copy(update={"epochs": budget * (self.epochs or 0)})

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.clips is not None:
            return f"{self.clips:,} clips"
        return f"{self.epochs:g} epoch{'s' * (self.epochs != 1)}"

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.epochs is not None and self.clips is not None:
            raise ValueError("give the budget as epochs or as clips, not both")
        return self


DEFAULT_EPOCHS = 10.0


class RayConfig(Section):
    """A Ray cluster, for `run.workers: ray`."""

    address: str = Field("auto", description="host:port of its head; auto: the cluster of this machine")
    cpus: float | None = Field(None, gt=0, description="cores a candidate; null: its threads, or 1")
    gpus: float = Field(0.0, ge=0, description="GPUs a candidate; shares such as 0.25 put several on one")
    resources: dict[str, float] = Field(
        default_factory=dict, description="other resources of Ray's a candidate, by name"
    )


class RunConfig(Section):
    """Where and how fast: decides nothing, so it may change when a run is resumed."""

    workers: int | Literal["ray"] | None = Field(
        None,
        description="local worker processes; 1: in this process; ray: on a Ray cluster; null: one a core, at "
        "most 6, and fewer where memory is short; on a GPU at most 4, and one for each 10 GB of its memory",
    )
    threads: int | None = Field(
        None, ge=1, description="threads a candidate; null: the cores shared out, on Ray its cpus"
    )
    time_limit: float | None = Field(
        10.0,
        gt=1,
        description="a candidate is ended after so many times its expected time, and a minute; null: never",
    )
    ray: RayConfig = RayConfig()
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where candidates are trained")
    keep_weights: bool = Field(True, description="keep the weights of accepted states beside the models")
    tensorboard: bool = Field(
        False, description="write every training's curves as event files, into tensorboard/ of the run"
    )

    @field_validator("workers", mode="before")
    @classmethod
    def _workers(cls, workers: object) -> object:
        if workers in (None, "ray") or (isinstance(workers, int) and workers >= 1):
            return workers
        raise ValueError(f"must be a number from 1 on, or ray, got {workers!r}")


class Config(Section):
    """The whole configuration of a run."""

    space: SpaceConfig = SpaceConfig()
    search: SearchConfig = SearchConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    run: RunConfig = RunConfig()

    def deciding(self) -> dict[str, Any]:
        """What decides the measurements and the decisions, as JSON values.

        Left out are `run`, the cache, and where the videos are or may be: their checksum decides, not their
        place.
        """
        values: dict[str, Any] = self.model_dump(mode="json", exclude={"run": True, "data": PLACES})
        return values


def from_values(values: object, origin: str) -> Config:
    """The configuration of a search from plain values; see `validated`."""
    return validated(values, origin, Config)
