"""The configuration of a search: its sections and settings, with units, bounds and defaults.

What is measured depends on `space`, `search`, `data` and `training`; `run` says only where and how fast
trainings run, so it may change when a run is resumed.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from expand.config.base import Section, validated
from expand.config.data import PLACES, DataConfig
from expand.config.profile import ProfileConfig
from expand.config.run import RunConfig
from expand.config.start import StartConfig
from expand.config.targets import parse_target, short_target
from expand.config.training import TrainingConfig


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


def _canonical(value: Any) -> str:
    """An amount in its shortest form, with its unit."""
    amount, cost = parse_target(value)
    return short_target(amount, cost or "macs")


Seeds = Annotated[
    tuple[int, int],
    BeforeValidator(_least_and_most),
    AfterValidator(_seeds_rise),
    PlainSerializer(lambda seeds: seeds[0] if seeds[0] == seeds[1] else list(seeds)),
]
Amount = Annotated[int, BeforeValidator(lambda value: parse_target(value)[0])]
AtMost = Annotated[str, BeforeValidator(_canonical)]


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
        description="amounts of cost, for each of which a network is searched: 80M (multiply-adds per clip), "
        "1.5Mparams, 400Kact (activations per clip), 6MB (weights in float32), peak 50MB (activations in "
        "memory at once, of one clip) or 5ms (by a profile of a device); all in one unit",
    )
    at_most: tuple[AtMost, ...] = Field(
        (),
        description="limits that no network may pass, beside the targets: amounts of other costs, written as "
        "targets are",
    )
    cost: str = Field(
        "macs",
        description="the cost that targets and step refer to: macs, params, activations, weights, peak, "
        "predicted_latency, or your own as module:Class; the unit of the targets sets it too",
    )
    profile: ProfileConfig | None = Field(
        None,
        description="for amounts of latency, such as 5ms: the file that `xpand profile` has written for a "
        "device (docs/latency.md); a run keeps what it says",
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
        try:
            split = [parse_target(target) for target in targets]
        except ValueError:
            return values  # the field says which one is wrong
        named = {cost for _, cost in split if cost is not None}
        named |= {values["cost"]} if named and values.get("cost") else set()
        if len(named) > 1 or (named and "cost" not in values and any(cost is None for _, cost in split)):
            given = ", ".join(map(str, targets))
            raise ValueError(f"targets must have one unit, which cost names too if it is given, got {given}")
        cost = {"cost": named.pop()} if named else {}
        return {**values, "targets": [number for number, _ in split], **cost}

    @model_validator(mode="after")
    def _other_costs(self) -> Self:
        limited = [cost for _, cost in self.limits]
        if self.cost in limited or len(set(limited)) < len(limited):
            given = ", ".join(self.at_most)
            raise ValueError(
                f"at_most must have amounts of different costs, none of them {self.cost}, got {given}"
            )
        return self

    @property
    def limits(self) -> list[tuple[int, str]]:
        """The amounts of `at_most` with the names of their costs."""
        return [(amount, cost or "macs") for amount, cost in map(parse_target, self.at_most)]

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


UNGROWN = ("random", "hand-scaled", "tpe", "nsga2")  # strategies whose networks have no parent to grow from


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

    @property
    def own_names(self) -> list[str]:
        """The values of all settings that may be a class of the user's own, as `module:Class`."""
        search = self.search
        return [
            *(self.space.name, search.strategy, search.objective, search.cost, self.data.format),
            *(search.axes or ()),
        ]

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
