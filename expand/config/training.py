"""The settings of short trainings, and what they have in common with those of full ones."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from expand.config.base import Section


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
