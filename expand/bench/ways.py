"""Ways to train the same networks, each measured in a run folder of its own.

So a measurement can be interrupted, goes on where it was, and takes any workers. What it says is worked out
from the runs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expand.config.search import Config
from expand.config.spaces import load_space
from expand.run.driver import SearchDisplay, drive
from expand.run.preparation import decode, plan
from expand.run.record import read_run
from expand.run.study import Run
from expand.system.errors import UserError
from expand.system.folders import CONFIG, differences
from search_spaces.x3d.factors import MIN_SIZE

GROWN: Mapping[str, Any] = {"init": "grown"}
# Long trainings start each block's last BatchNorm at 0.2, without which deep networks do not learn.
RESIDUAL_START: Mapping[str, Any] = {"residual_start": 0.2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A way to train networks; factors are multiples of what is configured.

    Attributes:
        length: of the epochs.
        rate: of the learning rate.
        batch: of the clips in a step.
        size: of the start's frame size.
        training: settings of the section `training` that differ from the configured ones, `init` scratch.
        data: settings of the section `data` that differ.
    """

    length: float = 1.0
    rate: float = 1.0
    batch: int = 1
    size: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def config(self, config: Config, strategy: str, settings: Mapping[str, Any]) -> Config:
        """The configuration of this way's run, whose networks a strategy with these settings chooses."""
        recipe = config.training.scaled(budget=self.length, rate=self.rate)
        space = dict(config.space.settings)
        if self.size != 1:
            start = load_space(config.space.name, space)
            space["size"] = max(MIN_SIZE, round(start.sampling(start.start).size * self.size / 8) * 8)
        return Config.model_validate(
            {
                **config.model_dump(),
                "space": {"name": config.space.name, "settings": space},
                "search": {**config.search.model_dump(), "strategy": strategy, "settings": dict(settings)},
                "data": {**config.data.model_dump(), **self.data},
                "training": {
                    **recipe.model_dump(),
                    "batch_size": self.batch * recipe.batch_size,
                    "init": "scratch",
                    **self.training,
                },
            }
        )


def run_to_end(config: Config, folder: Path, view: SearchDisplay) -> None:
    """Run a search in its folder, from where it was cut off if it is there already.

    Args:
        config: of the search.
        folder: the run folder.
        view: shows the progress.

    Raises:
        UserError: the folder is a run with another configuration.
        RunFailed: the run cannot go on.
    """
    planned = plan(config)
    if (folder / CONFIG).exists():
        run = Run.open(folder)
        run.check_config()
        if changes := [*differences(run.config.deciding(), config.deciding())]:
            raise UserError(
                f"{folder} must be a run with this configuration, but it differs: {'; '.join(changes)}. "
                "Give the same settings, or another folder (--out)."
            )
        if read_run(folder).ended:
            return
        prepared = decode(planned, view.caching, run.data)
    else:
        prepared = decode(planned, view.caching)
        run = Run.create(folder, config, prepared.setup.data)
    with run.locked():
        drive(run, prepared, planned.machine.time(planned.setup), view)


def slug(name: str) -> str:
    """The name of a way's run folder: `grown-rate-2`."""
    return "-".join("".join(letter if letter.isalnum() or letter == "." else " " for letter in name).split())
