"""Works out the settings of a run that is extended: to further targets, or to surer decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expand.config.base import validated
from expand.config.search import Config, SearchConfig
from expand.run.record import RunRecord
from expand.run.rows import StateRow
from expand.search.base import State
from expand.system.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Extending:
    """What a user asks a run to be extended by.

    Attributes:
        targets: further targets, such as `160M`.
        settings: new values of settings of the section `search`, by their names; None: as before.
    """

    targets: Sequence[str] = ()
    settings: Mapping[str, Any]


def extended(record: RunRecord, asked: Extending) -> Config:
    """The configuration of an extended run.

    Raises:
        UserError: a target is not above the last accepted state, the number of seeds falls, a value is
            wrong, or nothing changes.
    """
    before = record.config.search
    changes = {name: value for name, value in asked.settings.items() if value is not None}
    values = {**before.model_dump(mode="json"), **changes, "targets": [*before.targets, *asked.targets]}
    search = validated(values, "the extended search", SearchConfig)
    if search == before:
        raise UserError(
            "what extends a run must differ from what it has, but it does not: give a higher --target, more "
            "--seeds, or another --confidence."
        )
    _check_targets(record, search.targets[len(before.targets) :], asked.targets)
    if search.seeds[0] < before.seeds[0] or search.seeds[1] < before.seeds[1]:
        raise UserError(
            f"the seeds of a run that is extended must not fall below its {_range(before.seeds)}, got "
            f"{_range(search.seeds)}: give more, or start another search."
        )
    return record.config.model_copy(update={"search": search})


def _check_targets(record: RunRecord, targets: Sequence[int], given: Sequence[str]) -> None:
    last, cost = record.path[-1] if record.path else None, record.setup.cost
    for target, text in zip(targets, given, strict=True):
        if last is not None and target <= last.network.cost:
            raise UserError(
                f"--target must be above the last accepted network's {cost.show(last.network.cost)} "
                f"{cost.unit} ({last.name}), got {text}: give a higher one, or start another "
                "search for lower ones."
            )


def _range(seeds: tuple[int, int]) -> str:
    return f"{seeds[0]}" if seeds[0] == seeds[1] else f"{seeds[0]}-{seeds[1]}"


def forks(before: Sequence[str], path: Sequence[StateRow | State]) -> str | None:
    """Where an extended run takes another path than before, in a sentence; None: it does not.

    Args:
        before: the names of the states that were accepted before.
        path: the states that are accepted now.
    """
    for was, now in zip(before, path, strict=False):
        if was != now.name:
            return (
                f"The path forks: step {now.step} is {now.name} now, and was {was}. What was trained for the "
                "old branch stays in the record, and its models are in former/."
            )
    return None
