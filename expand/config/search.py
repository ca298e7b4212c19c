"""The configuration of a search: its sections and settings, with units, bounds and defaults.

What is measured depends on `space`, `search`, `data` and `training`; `run` says only where and how fast
trainings run, so it may change when a run is resumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from expand.config.base import Section, validated
from expand.config.start import StartConfig
from expand.config.targets import parse_target, split_unit


def _least_and_most(value: Any) -> Any:
    """The least and the most seeds: for a number both are that number; a text such as `2-8` has the two."""
    if isinstance(value, str):
        least, dash, most = value.partition("-")
        if not least.isdecimal() or not (most.isdecimal() if dash else not most):
            raise ValueError(f"must be a number or a range such as 2-8, got {value!r}")
        value = [int(least), int(most or least)]
    return (value, value) if isinstance(value, int) else value


def _seeds_rise(seeds: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= seeds[0] <= seeds[1]:
        raise ValueError(f"must be at least 1, and the most no less than the least, got {list(seeds)}")
    return seeds


Seeds = Annotated[
    tuple[int, int],
    BeforeValidator(_least_and_most),
    AfterValidator(_seeds_rise),
    PlainSerializer(lambda seeds: seeds[0] if seeds[0] == seeds[1] else list(seeds)),
]
Amount = Annotated[int, BeforeValidator(lambda value: parse_target(value)[0])]


class SpaceConfig(Section):
    """The search space."""

    name: str = Field("x3d", description="the space: x3d, or your own as module:Class")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the space; for x3d the basis that factors scale: size (pixels), frames, "
        "stride and more",
    )


class SearchConfig(Section):
    """How the space is searched."""

    targets: tuple[Amount, ...] = Field(
        (),
        description="limits of cost, for each of which a network is searched: 80M (multiply-adds per clip), "
        "1.5Mparams or 400Kact (activations per clip); all in one unit",
    )
    cost: str = Field(
        "macs",
        description="the cost that targets and step refer to: macs, params, activations, or your own as "
        "module:Class; the unit of the targets sets it too",
    )
    strategy: str = Field(
        "expansion",
        description="how networks are chosen: expansion, random, hand-scaled, tpe, nsga2, or your own "
        "strategy as module:Class (docs/strategies.md)",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of the strategy (docs/strategies.md); for random, tpe and nsga2: networks "
        "(for each target) and within (a network must cost at least 1 - within of the target)",
    )
    budget: float | None = Field(
        None,
        gt=0,
        description="the multiply-adds that the strategy may spend on trainings: of a clip × clips × 3, "
        "summed over trainings; it stops before it would pass that. What is trained with fresh seeds at the "
        "end (confirm), and what `xpand settle` adds, is not counted. null: as many as it asks for",
    )
    objective: str = Field(
        "top1",
        description="the score of candidates on the validation videos: top1, mean-class-accuracy, mAP (also "
        "for videos with several labels), or your own objective as module:Class",
    )
    axes: tuple[str, ...] | None = Field(
        None,
        description="the axes to grow along, by name, or your own as module:Class; null: all of the space",
    )
    start: StartConfig | None = Field(
        None,
        description="what the search starts from: a published network such as x3d-xs; a model's YAML, with "
        "the weights beside it where candidates grow (docs/growth.md); factors, such as {depth: 2.2, "
        "width: 1.5}; null: the space's own start, for x3d the basis",
    )
    step: float = Field(
        2.0, gt=1, description="for expansion: the largest factor by which a round may multiply the cost"
    )
    seeds: Seeds = Field(
        (1, 1),
        description="trainings of each candidate: a number, and the best mean score decides; or the least "
        "and the most, such as [2, 8]: candidates that may be the best get further seeds until the decision "
        "is sure enough; if it never is, the score for each doubling of the cost decides among them",
    )
    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="the probability at which a decision counts as sure"
    )
    margin: float = Field(
        0.01, ge=0, lt=1, description="how far below the best a candidate may be and count as good as it"
    )
    match: bool = Field(
        False,
        description="for expansion: contract the candidates of a round to about the cost of the cheapest "
        "before they are trained; axes come in steps, so costs still differ by some percent",
    )
    settled: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="how many stages of further trainings follow the race of a round, by the axes grown "
        "before it, such as {start: 2, temporal/fast: 1}; `xpand settle` chooses and writes them "
        "(docs/decisions.md)",
    )
    confirm: int | None = Field(
        None,
        ge=0,
        description="how often the networks found are trained again at the end, with fresh seeds, since a "
        "score that was chosen for being the best is more likely too high; null: 2 where seeds is a range, "
        "else 0",
    )
    seed: int = Field(0, ge=0, description="the first seed; the others follow it by 1 each")

    @model_validator(mode="before")
    @classmethod
    def _one_unit(cls, values: Any) -> Any:
        """Take the unit off the targets, and set `cost` by it."""
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

    @property
    def confirmations(self) -> int:
        """How often what was found is trained again with fresh seeds."""
        if self.confirm is not None:
            return self.confirm
        return 0 if self.seeds[0] == self.seeds[1] else 2

    @property
    def seeds_in_words(self) -> str:
        """Such as `one seed`, `3 seeds` or `2 to 8 seeds`."""
        least, most = self.seeds
        if most == 1:
            return "one seed"
        return f"{most} seeds" if least == most else f"{least} to {most} seeds"

    @field_validator("axes")
    @classmethod
    def _axes(cls, axes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if axes is not None and not axes:
            raise ValueError("name at least one axis, or leave `axes` out to use all of the space's")
        if axes is not None and len(set(axes)) < len(axes):
            raise ValueError(f"name each axis once, got {', '.join(axes)}")
        return axes


class CacheConfig(Section):
    """The cache of decoded frames."""

    folder: Path | None = Field(None, description="folder of the cache; null: $XDG_CACHE_HOME/xpand")
    limit_gb: float = Field(
        20.0, gt=0, description="if the raw frames take more than this many GB, they are kept as JPEG"
    )


class SyntheticConfig(Section):
    """Synthetic videos, drawn from a seed (expand/data/synthetic.py)."""

    train: int = Field(432, ge=12, description="clips in the training split")
    val: int = Field(228, ge=12, description="clips in the validation split")
    test: int = Field(0, ge=0, description="clips in the test split, which no search decides by")
    size: int = Field(64, ge=32, description="side of the square frames, in pixels")
    seed: int = Field(0, ge=0, description="seed of the videos")


class DataConfig(Section):
    """The labelled videos."""

    format: str = Field(
        "auto",
        description="format of the lists of videos (docs/data.md): folders, list, multi-label, ucf101, "
        "hmdb51, kinetics, something-something, jester, charades, synthetic, or your own reader as "
        "module:Class; auto: recognised by the files, except multi-label, which are lists of "
        "`video label;label`, each label with or without its times in seconds (`run 0 2.5`)",
    )
    path: Path | None = Field(None, description="folder of the videos; must be null for synthetic")
    train: Path | None = Field(None, description="list of the training videos; null: train.txt or train.csv")
    val: Path | None = Field(
        None,
        description="list of the validation videos; null: val.txt or validation.txt (or .csv), or a share of "
        "the training videos (val_share)",
    )
    test: Path | None = Field(
        None,
        description="list of the test videos, which a search reads only if it validates on them (val_share), "
        "or to score what it found (search.confirm); null: test.txt or test.csv",
    )
    allow_outside: bool = Field(
        False, description="whether lists may name videos outside of the data's folder, by absolute paths"
    )
    val_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of each class's training videos that is set aside for validation, if the data has "
        "no validation videos; null: 0.2, or if the data has test videos, these are used for validation",
    )
    split_seed: int = Field(0, ge=0, description="seed by which val_share is set aside, and share is drawn")
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of each class's training videos that is used; fewer make every epoch shorter",
    )
    official_split: Literal[1, 2, 3] = Field(1, description="which of the three splits of UCF101 and HMDB51")
    frames_fps: float | None = Field(
        None,
        gt=0,
        description="frames per second of videos that are folders of pictures; null: the data set's own",
    )
    max_bad_share: float = Field(
        0.05, ge=0, lt=1, description="largest share of videos that may be undecodable; above it, runs stop"
    )
    flip: bool = Field(True, description="mirror training clips left to right, with probability 1/2")
    flip_labels: dict[str, str] = Field(
        default_factory=dict,
        description="classes that swap when a clip is mirrored, such as {turn-left: turn-right}",
    )
    jitter: tuple[float, float] = Field(
        (1.0, 1.25),
        description="smallest and largest short side of a training clip before the crop, in units of the "
        "crop's side",
    )
    oversampling: float = Field(
        2.0,
        ge=1,
        description="how many cached frames there are for each frame of the fastest clip of the search; the "
        "frames of a clip are at most 1 / (2 · oversampling) of that clip's stride away from their exact "
        "times; `xpand train`: 4 by default",
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
        if isinstance(values, dict) and "ucf101_split" in values:  # the name in runs before 0.1.0
            values = dict(values)
            values["official_split"] = values.pop("ucf101_split")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.format == "synthetic" and self.path is not None:
            raise ValueError("path must be null for synthetic clips")
        if self.format == "synthetic" and self.share != 1:
            raise ValueError(
                f"share must be 1 for synthetic clips, got {self.share:g}: set synthetic.train instead"
            )
        if self.flip_labels and not self.flip:
            raise ValueError("flip_labels needs flip: true")
        return self


# The settings of DataConfig that say where videos are, or may be; no measurement depends on them.
PLACES = {"cache", "path", "train", "val", "test", "allow_outside"}


class TrainingBase(Section):
    """The settings that short and full trainings have in common."""

    epochs: float | None

    def clips_of(self, videos: int) -> int:
        """The budget in clips, for `videos` training videos."""
        return max(1, round((self.epochs or 0) * videos))


class TrainingConfig(TrainingBase):
    """How each candidate is trained and validated: a short training, the same for all candidates of a run."""

    # Chosen by a comparison on real motion and on the synthetic clips: results/LOG.md, 2026-11-23.

    epochs: float | None = Field(
        None,
        gt=0,
        description="budget in epochs of the training split; null: 4, or 10 from scratch, if clips is null",
    )
    clips: int | None = Field(None, gt=0, description="budget in training clips, instead of epochs")
    batch_size: int = Field(16, ge=1, description="clips in an optimizer step")
    learning_rate: float = Field(0.05, gt=0, description="peak learning rate, for this batch size")
    warmup: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the budget in which the learning rate rises linearly from 0",
    )
    optimizer: Literal["sgd", "adamw"] = Field(
        "sgd", description="the optimizer; adamw needs a lower learning_rate, such as 0.001"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(True, description="Nesterov's momentum")
    weight_decay: float = Field(
        5e-5, ge=0, description="weight decay of convolutions and linear layers, without their biases"
    )
    gradient_clip: float | None = Field(
        2.0, gt=0, description="a gradient with a larger norm is scaled down to this norm; null: never"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of the training loss")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the classifier")
    residual_start: float = Field(
        1.0,
        ge=0,
        le=1,
        description="initial weight of each block's last BatchNorm: with 0, blocks start as their shortcuts",
    )
    init: Literal["scratch", "grown"] | None = Field(
        None,
        description="grown: a candidate starts as the function that its parent has learned, the network that "
        "it was grown from, so it needs fewer epochs; scratch: from random weights, as in the paper; "
        "null: grown where the strategy grows networks and the search space can grow weights",
    )
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="natural: every video once an epoch; balanced: every class equally often"
    )
    val_clips: int = Field(
        1,
        ge=1,
        description="clips of each validation video, evenly spaced in time; their probabilities are averaged",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("epochs") is None and values.get("clips") is None:
            epochs = SCRATCH_EPOCHS if values.get("init") == "scratch" else GROWN_EPOCHS
            values = {**values, "epochs": epochs}
        return values

    def clips_of(self, videos: int) -> int:
        """The budget in clips, for `videos` training videos."""
        return self.clips if self.clips is not None else super().clips_of(videos)

    def epochs_of(self, videos: int) -> float:
        """The budget in epochs, for `videos` training videos."""
        return self.epochs if self.epochs is not None else (self.clips or 0) / videos

    def scaled(self, *, budget: float = 1.0, rate: float = 1.0) -> TrainingConfig:
        """The same recipe with its budget and its learning rate multiplied."""
        changed: dict[str, Any] = {}
        if budget != 1 and self.clips is not None:
            changed["clips"] = max(1, round(budget * self.clips))
        elif budget != 1:
            changed["epochs"] = budget * (self.epochs or 0)
        if rate != 1:
            changed["learning_rate"] = rate * self.learning_rate
        return self.model_copy(update=changed)

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


GROWN_EPOCHS, SCRATCH_EPOCHS = 4.0, 10.0  # of short trainings, where none are given
UNGROWN = ("random", "hand-scaled", "tpe", "nsga2")  # strategies whose networks have no parent to grow from


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
    tensorboard: bool = Field(
        False, description="write the curves of every training as event files, into the run's tensorboard/"
    )

    @field_validator("workers", mode="before")
    @classmethod
    def _workers(cls, workers: object) -> object:
        if workers in (None, "ray") or (isinstance(workers, int) and workers >= 1):
            return workers
        raise ValueError(f"must be a number from 1 on, or ray, got {workers!r}")


class Config(Section):
    """The whole configuration of a search."""

    space: SpaceConfig = SpaceConfig()
    search: SearchConfig = SearchConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="before")
    @classmethod
    def _ungrown(cls, values: Any) -> Any:
        """Train from random weights, and for as long as that takes, where the strategy grows no network."""
        if not isinstance(values, dict):
            return values
        search, training = values.get("search", {}), values.get("training", {})
        if not isinstance(search, dict) or not isinstance(training, dict):
            return values
        if search.get("strategy") in UNGROWN and training.get("init") is None:
            return {**values, "training": {**training, "init": "scratch"}}
        return values

    def deciding(self) -> dict[str, Any]:
        """The settings that measurements and decisions depend on, as JSON values.

        Left out are `run`, the cache, and the paths of the videos and of a model that the search starts from,
        since the run keeps their checksums; and the numbers of synthetic clips where the videos are others.
        """
        unused = PLACES if self.data.format == "synthetic" else PLACES | {"synthetic"}
        left_out: Any = {"run": True, "data": unused, "search": {"start": {"network"}}}
        values: dict[str, Any] = self.model_dump(mode="json", exclude=left_out)
        return values


def from_values(values: object, origin: str) -> Config:
    """The configuration of a search from plain values that come from `origin`; see `validated`."""
    return validated(values, origin, Config)
