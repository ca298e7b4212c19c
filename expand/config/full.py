"""The configuration of a full training: its sections and settings, with units, bounds and defaults.

The defaults are the recipe that X3D was released with; `expand.config.recipes` has another, for few videos.
The weights depend on `data` and `training`; `run` says only where and how fast the training runs, so it may
change when a training is resumed.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from expand.config.base import Section
from expand.config.data import PLACES, DataConfig
from expand.config.recipes import FEW_VIDEOS, RELEASED_BATCH, RecipeName
from expand.config.training import TrainingBase
from search_spaces.base import ClipSampling

LEARNING_RATE_CLIPS = 128  # the batch size that `learning_rate` refers to
_WARMUP = 35 / 300  # share of the epochs that is warm-up, if `warmup_epochs` is not given


class FullConfig(TrainingBase):
    """The recipe of a full training: schedule, optimizer and regularisation."""

    # Source: SlowFast's configs/Kinetics/X3D_*.yaml at 287ec007.

    recipe: RecipeName = Field(
        "auto",
        description="where the values of settings that are not given come from. released: the defaults of "
        "this table; small: a recipe for few videos (docs/training.md); auto: small "
        f"for fewer than {FEW_VIDEOS:,} training videos, else released",
    )
    epochs: float = Field(300.0, gt=0, description="budget in epochs of the training split")
    batch_size: int = Field(
        RELEASED_BATCH,
        ge=2,
        description="clips in an optimizer step, over all processes; at most as many as training videos, and "
        "fewer by default where an epoch would have fewer than 4 steps",
    )
    micro_batch: int | None = Field(
        None,
        ge=2,
        description="clips in one forward pass of a process, for devices with little memory; the gradients "
        "of a step's passes are added up, and BatchNorm normalises each by itself; null: all of a step",
    )
    learning_rate: float = Field(
        0.1,
        gt=0,
        description="peak learning rate for a batch of 128 clips; scaled in proportion for other batches",
    )
    warmup_epochs: float | None = Field(
        None, ge=0, description="epochs of linear warm-up; null: 35/300 of the epochs"
    )
    warmup_start: float = Field(
        0.1, ge=0, le=1, description="learning rate at the start of the warm-up, as a share of the peak"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(True, description="Nesterov's momentum")
    weight_decay: float = Field(
        5e-5, ge=0, description="weight decay of convolutions and linear layers, without their biases"
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="a gradient with a larger norm is scaled down to this norm; null: never"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="label smoothing of the training loss; only for videos with one label"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout before the classifier")
    residual_start: float = Field(
        0.0,
        ge=0,
        le=1,
        description="initial weight of each block's last BatchNorm: with 0, blocks start as their shortcuts",
    )
    sampling: Literal["natural", "balanced"] = Field(
        "natural",
        description="natural: every video once an epoch; balanced: every class equally often, only for "
        "videos with one label",
    )
    head: Literal["clip", "frame"] = Field(
        "clip",
        description="clip: logits for each clip; frame: logits for each frame, for labels with times "
        "(localisation)",
    )
    precise_norm: int | None = Field(
        200,
        ge=1,
        description="training batches, at most one epoch, over which BatchNorm's statistics are measured "
        "before an evaluation; null: the running statistics are used",
    )
    multigrid: bool = Field(
        False,
        description="multigrid training: large batches of coarse clips first, so that as many clips take a "
        "fraction of the time",
    )
    split_clips: int = Field(
        8, ge=2, description="about how many clips BatchNorm normalises together in multigrid training"
    )
    validate_epochs: float = Field(
        10.0, gt=0, description="epochs from one validation (one centre clip of each video) to the next"
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="which weights the trained network has: those of the last validation, or of the best "
        "one, by its top-1 or mAP and, where that is equal, by its loss",
    )
    patience: float | None = Field(
        None,
        gt=0,
        description="epochs without a better validation after which a training stops; null: never",
    )
    seed: int = Field(
        0, ge=0, description="seed of the initial weights, the order of the clips and their augmentation"
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.multigrid and self.micro_batch is not None:
            raise ValueError("micro_batch must be null with multigrid, whose steps all take as much memory")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be below epochs ({self.epochs:g}), got {self.warmup_epochs:g}"
            )
        if self.patience is not None and self.patience < self.validate_epochs:
            raise ValueError(
                f"patience must be at least validate_epochs ({self.validate_epochs:g}), got "
                f"{self.patience:g}: raise it, or validate more often"
            )
        return self

    @property
    def warmup(self) -> float:
        """The share of the training that is warm-up."""
        return _WARMUP if self.warmup_epochs is None else self.warmup_epochs / self.epochs

    @property
    def peak(self) -> float:
        """The peak learning rate for this batch size."""
        return self.learning_rate * self.batch_size / LEARNING_RATE_CLIPS


class FullRunConfig(Section):
    """Where and how fast; only rounding depends on it, so it may change when a training is resumed."""

    threads: int | None = Field(
        None, ge=1, description="threads of a process; null: the cores, divided among the processes"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="device of the training; auto: cuda, mps or cpu, the first that there is"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of products and convolutions; auto: bfloat16 on CUDA, float32 elsewhere",
    )
    checkpoint_minutes: float = Field(
        10.0,
        ge=0,
        description="minutes from one checkpoint to the next; a checkpoint also follows each validation",
    )
    tensorboard: bool = Field(
        False, description="write the training's curves as event files, into its folder's tensorboard/"
    )


class Recipe(Section):
    """The whole configuration of a full training."""

    data: DataConfig = DataConfig()
    training: FullConfig = FullConfig()
    run: FullRunConfig = FullRunConfig()

    def deciding(self) -> dict[str, Any]:
        """The settings that the weights depend on, as JSON values; see `Config.deciding`."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude={"run": True, "data": PLACES})
        return values


def released_jitter(sampling: ClipSampling) -> tuple[float, float]:
    """The released `data.jitter`: `released_sides` in units of the crop's side."""
    low, high = released_sides(sampling.size)
    return low / sampling.size, high / sampling.size


def released_sides(size: int) -> tuple[int, int]:
    """The smallest and largest short side of a training clip before its crop of `size` pixels, in pixels.

    In proportion to X3D's release: 182 and 228 for crops of 160, 256 and 320 for crops of 224. The smallest
    is also the short side in a test, and the side of the larger crops of the 30-view test.
    """
    return _even(size * 8 / 7), _even(size * 10 / 7)


def _even(length: float) -> int:
    """The nearest even number."""
    return 2 * round(length / 2)
