"""The setting of what a search starts from: a published network, a model file, or factors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from expand.config.base import Section

_FORMS = "must be a published network, a model file, or factors such as {depth: 2.2}"


class StartConfig(Section):
    """What a search starts from. A text stands for `network`, and a mapping of factors for `factors`.

    A search that is planned knows the factors of its network, and the checksum of the weights that it starts
    from. Its decisions depend on these two, so that a run is resumed and read without the model file.
    """

    network: str | None = Field(None, description="a published network, or the path of a model file")
    factors: dict[str, Any] | None = Field(
        None, description="the point in the space; what is left out is as in the space's own start"
    )
    checksum: str | None = Field(
        None,
        description="SHA-256 of the weights that the start grows from, with their classes; null: none",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, values: Any) -> Any:
        if isinstance(values, str | Path):
            return {"network": str(values)}
        if isinstance(values, dict) and not values.keys() & cls.model_fields.keys():
            return {"factors": values}
        if not isinstance(values, dict | cls):
            raise ValueError(f"{_FORMS}, got {values!r}")
        return values

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.network and not self.factors:
            raise ValueError(f"{_FORMS}, got neither")
        return self

    @property
    def name(self) -> str:
        """A short name, for figures."""
        return Path(self.network).stem if self.network else "start"

    @property
    def words(self) -> str:
        """What it is, such as `x3d-xs`, `depth 2.2` or `models/target-6M.yaml with its weights`."""
        if self.network:
            return self.network + (" with its weights" if self.checksum else "")
        return ", ".join(f"{name} {value}" for name, value in (self.factors or {}).items())
