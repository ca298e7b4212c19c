"""A profile of a device: how fast it runs the parts of a space's networks. `xpand profile` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from expand.config.base import Section, read_yaml, validated
from expand.system.errors import UserError

Runtime = Literal["torch", "onnxruntime", "torch-export"]
NotBelow0 = Annotated[float, Field(ge=0)]


class ErrorsConfig(Section):
    """How far predicted times are off, on networks that had no part in what predicts them."""

    median: float = Field(description="of the errors, as shares of the measured times")
    percentile_95: float = Field(description="of the errors, as shares of the measured times")
    rank: float = Field(description="Spearman's correlation of predicted and measured times")

    @property
    def words(self) -> str:
        """Such as `off by 2.4% in the median, by at most 7.9% in 95 of 100 cases`."""
        return (
            f"off by {self.median:.1%} in the median, by at most {self.percentile_95:.1%} in 95 of 100 cases"
        )


class ProfileConfig(Section):
    """How fast a device runs the parts of a space's networks. A path stands for the file that is there.

    A search has the whole profile in its configuration, so that it can be repeated without the file.
    """

    space: str = Field(description="the search space, as in space.name")
    settings: dict[str, Any] = Field(description="the space's settings with which it was measured")
    num_classes: int = Field(ge=1, description="outputs of the networks that were timed")
    runtime: Runtime = Field(description="what ran them: torch, onnxruntime or torch-export")
    device: str = Field(description="where they ran: cpu or cuda")
    threads: int = Field(ge=1, description="threads on the CPU")
    batch: int = Field(ge=1, description="clips at once; a latency is that of all of them")
    machine: dict[str, Any] = Field(description="the processor and the versions")
    networks: int = Field(ge=1, description="how many networks were timed")
    macs: tuple[int, int] = Field(description="the least and the most multiply-adds of a clip of theirs")
    errors: ErrorsConfig = Field(description="of the profile's predictions")
    errors_by_macs: ErrorsConfig = Field(description="of predictions by multiply-adds alone")
    pace: dict[str, dict[str, NotBelow0]] = Field(
        description="by kind of part and name of work: the nanoseconds that one unit of it takes"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_a_file(cls, values: Any) -> Any:
        try:
            return _values_in(Path(values)) if isinstance(values, str | Path) else values
        except UserError as error:
            raise ValueError(str(error).rstrip(".")) from None

    def extrapolates(self, macs: int) -> bool:
        """Whether a network has more multiply-adds than any that was timed."""
        return macs > self.macs[1]

    @property
    def words(self) -> str:
        """Such as `onnxruntime on cpu, 1 thread`."""
        clips = f", {self.batch} clips at once" if self.batch > 1 else ""
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.device == "cpu" else ""
        return f"{self.runtime} on {self.device}{threads}{clips}"


def read_profile(file: Path) -> ProfileConfig:
    """The profile in a file.

    Raises:
        UserError: the file cannot be read, or is no profile.
    """
    return validated(_values_in(file), str(file), ProfileConfig)


def _values_in(file: Path) -> dict[str, Any]:
    """The values in a profile's file.

    Raises:
        UserError: it cannot be read, or is no profile.
    """
    found = read_yaml(file)
    if not isinstance(found, dict) or "pace" not in found:
        raise UserError(f"{file} must be a profile, as xpand profile writes it.")
    return found
