"""The configuration of a full training: YAML in, YAML out, every value checked, unknown keys refused.

The defaults are the recipe that X3D was released with. `data` and `training` decide what comes out; `run`
decides only where and how fast, so it may change when a training is resumed.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from expand.config.base import Section
from expand.config.search import PLACES, DataConfig, TrainingBase
from search_spaces.base import ClipSampling

LEARNING_RATE_CLIPS = 128  # the batch that `learning_rate` is for
_WARMUP = 35 / 300  # of the epochs


class FullConfig(TrainingBase):
    """How a network is trained in full."""

    # Source: SlowFast's configs/Kinetics/X3D_*.yaml at 287ec007.

    epochs: float = Field(300.0, gt=0, description="budget in epochs of the training split")
    batch_size: int = Field(128, ge=2, description="clips in an optimizer step, over all processes")
    micro_batch: int | None = Field(
        None,
        ge=2,
        description="clips in one forward pass of a process, for devices with little memory; gradients are "
        "added up, BatchNorm sees a pass; null: all of a step",
    )
    learning_rate: float = Field(
        0.1, gt=0, description="peak learning rate for a batch of 128; in proportion for other batches"
    )
    warmup_epochs: float | None = Field(
        None, ge=0, description="epochs of linear warm-up; null: 35 of 300, in proportion"
    )
    warmup_start: float = Field(0.1, ge=0, le=1, description="where it starts, in peak learning rates")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(True, description="Nesterov's momentum")
    weight_decay: float = Field(5e-5, ge=0, description="weight decay; never on BatchNorm and biases")
    gradient_clip: float | None = Field(
        None, gt=0, description="largest norm of the gradient, which is scaled down to it; null: as it is"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="label smoothing of the training loss; only with one label a clip"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout before the classifier")
    zero_init: bool = Field(True, description="start the last BatchNorm of each block at zero")
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="balanced: every class is drawn equally often; only with one label a clip"
    )
    head: Literal["clip", "frame"] = Field(
        "clip", description="frame: logits for every frame, for labels by time (localisation)"
    )
    precise_norm: int | None = Field(
        200,
        ge=1,
        description="batches, of one epoch at most, over which BatchNorm's statistics are measured before "
        "an evaluation; null: as they are",
    )
    multigrid: bool = Field(
        False, description="large batches of coarse clips first: as many clips in a fraction of the time"
    )
    split_clips: int = Field(
        8, ge=2, description="clips that BatchNorm takes together in multigrid training, about"
    )
    validate_epochs: float = Field(
        10.0, gt=0, description="epochs from one validation (one centre clip a video) to the next"
    )
    seed: int = Field(0, ge=0, description="of the weights, the order of the clips and their augmentation")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.multigrid and self.micro_batch is not None:
            raise ValueError("micro_batch must be null with multigrid, whose steps all take as much memory")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be below epochs ({self.epochs:g}), got {self.warmup_epochs:g}"
            )
        return self

    @property
    def warmup(self) -> float:
        """Share of the training that warms up."""
        return _WARMUP if self.warmup_epochs is None else self.warmup_epochs / self.epochs

    @property
    def peak(self) -> float:
        """The peak learning rate for this batch."""
        return self.learning_rate * self.batch_size / LEARNING_RATE_CLIPS


class FullRunConfig(Section):
    """Where and how fast: decides nothing but rounding, so it may change when a training is resumed."""

    threads: int | None = Field(None, ge=1, description="threads a process; null: the cores shared out")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where it is trained")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of products and convolutions; auto: bfloat16 on CUDA, float32 elsewhere"
    )
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="at most so long from one checkpoint to the next; one follows each validation"
    )


class Recipe(Section):
    """The whole configuration of a full training."""

    data: DataConfig = DataConfig()
    training: FullConfig = FullConfig()
    run: FullRunConfig = FullRunConfig()

    def deciding(self) -> dict[str, Any]:
        """What decides the weights, as JSON values; see `Config.deciding`."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude={"run": True, "data": PLACES})
        return values


def released_jitter(sampling: ClipSampling) -> tuple[float, float]:
    """Lowest and highest short side before the crop, in crops: 182 and 228 pixels for 160, as released."""
    low, high = released_sides(sampling.size)
    return low / sampling.size, high / sampling.size


def released_sides(size: int) -> tuple[int, int]:
    """Lowest and highest short side of a training clip before its crop, in pixels, for crops of `size`.

    182 and 228 for 160, 256 and 320 for 224: as X3D was released, kept in proportion. The lowest is also the
    short side in a test, and the side of the larger crops of the 30-view test.
    """
    return _even(size * 8 / 7), _even(size * 10 / 7)


def _even(length: float) -> int:
    """The nearest even number."""
    return 2 * round(length / 2)
