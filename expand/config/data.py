"""The settings of the labelled videos, of their cache, and of synthetic ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from expand.config.base import Section


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
