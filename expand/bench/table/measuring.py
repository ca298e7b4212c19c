"""Trains the networks of a table, way by way, each in a run folder inside the table's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expand.bench.table import strategies
from expand.bench.ways import GROWN, RESIDUAL_START, Way, run_to_end
from expand.config.search import Config
from expand.run.driver import SearchDisplay
from expand.system.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """How many networks a table has; see `strategies.py` for what each number means."""

    rounds: int = 2
    further: int = 0
    drawn: Sequence[int] = ()
    sampled: int = 12

    def settings(self) -> dict[str, object]:
        """The settings of the strategies."""
        return {
            "rounds": self.rounds,
            "further": self.further,
            "drawn": list(self.drawn),
            "sampled": self.sampled,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TableWay:
    """A way to train networks of a table: the recipe, and the class of the strategy that lists them."""

    recipe: Way
    strategy: str
    one_seed: bool = False

    def config(self, config: Config, extent: Extent) -> Config:
        """The configuration of this way's run."""
        settings = {**extent.settings(), "step": config.search.step}
        changed = self.recipe.config(config, f"{strategies.__name__}:{self.strategy}", settings)
        seeds = (1, 1) if self.one_seed else config.search.seeds
        return Config.model_validate(
            {
                **changed.model_dump(),
                "search": {**changed.search.model_dump(), "seeds": list(seeds), "confirm": 0},
            }
        )


FURTHER = "further"
# In the order in which they are measured.
WAYS: Mapping[str, TableWay] = {
    "scratch": TableWay(recipe=Way(), strategy="Scratch"),
    "grown": TableWay(recipe=Way(length=0.5, training=GROWN), strategy="Grown"),
    "long": TableWay(recipe=Way(length=5, training=RESIDUAL_START), strategy="Long", one_seed=True),
    FURTHER: TableWay(recipe=Way(), strategy="Further"),
}


def ways_of(extent: Extent) -> list[str]:
    """The ways that a table of this extent has, in the order in which they are measured."""
    return [name for name in WAYS if name != FURTHER or extent.further]


def measure(config: Config, extent: Extent, ways: Sequence[str], folder: Path, view: SearchDisplay) -> None:
    """Train the networks of the ways, from where they were cut off.

    Args:
        config: a search's configuration: space, axes, data, seeds, targets, and the recipe that ways change.
        extent: how many networks.
        ways: names from `WAYS`.
        folder: the table's folder, which gets a run folder for each way.
        view: shows the progress.

    Raises:
        UserError: a run in the folder has another configuration, or there are no further rounds to train.
        RunFailed: a run cannot go on.
    """
    if FURTHER in ways and not extent.further:
        raise UserError("the way further needs further rounds, got none: add --further 1, or leave it out.")
    for name in ways:
        run_to_end(WAYS[name].config(config, extent), folder / name, view)
