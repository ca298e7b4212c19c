"""Compares searches that may spend the same: what each had found for what it had spent, and who is ahead."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from expand.run.record import RunRecord
from expand.run.rows import CandidateRow, TargetRow
from expand.search.base import CONTROL
from expand.search.confirmation import CONFIRMATION
from expand.system.errors import UserError
from expand.system.units import show_count

_DRAWS = 100_000  # of Student's t


@dataclass(frozen=True, kw_only=True, slots=True)
class Climb:
    """How the best score of a run rose with what it spent.

    Attributes:
        folder: the name of the run's folder.
        spent: multiply-adds trained, after each candidate.
        best: the best mean score so far of a candidate within the target; a candidate counts when all its
            trainings are made.
        found: the score of the network that was found: with fresh seeds, if all runs that are compared have
            some.
        test: its score on the test videos; None: the run has none.
        trainings: how many there were, without those with fresh seeds and those for larger targets.
    """

    folder: str
    spent: tuple[float, ...]
    best: tuple[float, ...]
    found: float
    test: float | None
    trainings: int

    def at(self, spent: float) -> float | None:
        """The best score after having spent so much; None: there was none yet."""
        before = [best for so_far, best in zip(self.spent, self.best, strict=True) if so_far <= spent]
        return before[-1] if before else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrant:
    """Runs that differ in their seed alone.

    Attributes:
        name: the strategy; with the run's folder where several have that strategy.
        climbs: one of each run.
    """

    name: str
    climbs: tuple[Climb, ...]

    @property
    def founds(self) -> list[float]:
        """The score of what each run found."""
        return [climb.found for climb in self.climbs]

    @property
    def found(self) -> float:
        """The mean score of what the runs found."""
        return statistics.fmean(self.founds)

    @property
    def spent(self) -> float:
        """The mean of what the runs spent."""
        return statistics.fmean(climb.spent[-1] for climb in self.climbs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Searches for networks within one target.

    Attributes:
        target: the target, in the unit of the search's cost.
        target_name: the target in a few letters, such as `45M`.
        words: the objective's score in words, such as `top-1`.
        fresh: whether what was found is scored with fresh seeds.
        entrants: what is compared, in the order of the runs.
    """

    target: int
    target_name: str
    words: str
    fresh: bool
    entrants: tuple[Entrant, ...]

    def ahead(self, one: Entrant, other: Entrant) -> float | None:
        """The probability that the mean score over all seeds is higher for one entrant than for another.

        Student's t, with the variance between runs that all entrants share. None: no entrant has two runs, so
        nothing tells how far runs scatter.
        """
        freedom = sum(len(entrant.climbs) - 1 for entrant in self.entrants)
        if freedom < 1:
            return None
        squares = sum((score - entrant.found) ** 2 for entrant in self.entrants for score in entrant.founds)
        error = (squares / freedom * (1 / len(one.climbs) + 1 / len(other.climbs))) ** 0.5
        gap = one.found - other.found
        if error == 0:
            return 0.5 if gap == 0 else float(gap > 0)
        drawn = np.random.Generator(np.random.Philox(key=freedom)).standard_t(freedom, _DRAWS)
        both = np.concatenate([drawn, -drawn])  # so that equal means give a half
        return float((both < gap / error).mean())

    @property
    def pairs(self) -> list[tuple[Entrant, Entrant, float | None]]:
        """Each pair, the one that is ahead first, with the probability that it is."""
        pairs = []
        for pair in combinations(self.entrants, 2):
            one, other = sorted(pair, key=lambda entrant: -entrant.found)
            pairs.append((one, other, self.ahead(one, other)))
        return pairs


def compare(records: Sequence[RunRecord]) -> Comparison:
    """Compare runs on the same videos, by the largest target that all of them have.

    Raises:
        UserError: fewer than two runs, one that is not finished, or runs that cannot be compared.
    """
    target = _check(records)
    cost = records[0].setup.cost
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_settings(record), []).append(record)
    names = [group[0].config.search.strategy for group in groups.values()]
    fresh = all(_found(record, target).fresh is not None for record in records)
    return Comparison(
        target=target,
        target_name=cost.short(target),
        words=records[0].objective.words,
        fresh=fresh,
        entrants=tuple(
            Entrant(
                name=name if names.count(name) == 1 else f"{name} ({group[0].folder.name})",
                climbs=tuple(_climb(record, target, fresh=fresh) for record in group),
            )
            for name, group in zip(names, groups.values(), strict=True)
        ),
    )


def _check(records: Sequence[RunRecord]) -> int:
    """Check that runs can be compared, and return the target by which.

    Raises:
        UserError: they cannot.
    """
    if len(records) < 2:
        raise UserError(f"a comparison needs at least two runs, got {len(records)}: name more of them.")
    first = records[0]
    for record in records:
        if not record.finished:
            raise UserError(
                f"runs that are compared must be finished, but {record.folder} is {record.state}: resume it."
            )
        data, theirs = first.data, record.data
        facts = {
            "videos": (f"{data.name} ({data.checksum[:12]})", f"{theirs.name} ({theirs.checksum[:12]})"),
            "search.objective": (first.objective.name, record.objective.name),
            "search.cost": (first.setup.cost.name, record.setup.cost.name),
        }
        for what, (one, other) in facts.items():
            if one != other:
                raise UserError(
                    f"runs that are compared must have the same {what}, but {first.folder} has {one} and "
                    f"{record.folder} {other}: compare others."
                )
    common = set.intersection(*({row.target for row in record.targets} for record in records))
    if not common:
        have = "; ".join(
            f"{record.folder} {', '.join(show_count(row.target) for row in record.targets)}"
            for record in records
        )
        raise UserError(f"runs that are compared must share a target, but they do not ({have}).")
    return max(common)


def _settings(record: RunRecord) -> str:
    """What tells runs apart, but for their seed."""
    values: dict[str, Any] = record.config.deciding()
    values["search"] = {name: value for name, value in values["search"].items() if name != "seed"}
    return json.dumps(values, sort_keys=True)


def _found(record: RunRecord, target: int) -> TargetRow:
    return next(row for row in record.targets if row.target == target)


def _climb(record: RunRecord, target: int, *, fresh: bool) -> Climb:
    spent, best, trainings = 0.0, float("-inf"), 0
    steps = list[tuple[float, float]]()
    found = _found(record, target)
    needed = min((state.step for state in record.path if state.network.cost >= target), default=None)
    for row in record.rounds:
        confirms = row.kind == CONFIRMATION
        larger = row.kind == "expansion" and needed is not None and row.round > needed
        other = row.kind == "contraction" and row.network.candidate != found.network.candidate
        if confirms or larger or other:  # what was grown or contracted for other targets does not count
            continue
        spent += sum(one.spent for one in row.seeds.measurements)
        trainings += len(row.seeds.measurements)
        if _counts(row, target):
            best = max(best, row.score)
        if best > float("-inf"):
            steps.append((spent, best))
    again = found.fresh.mean if fresh and found.fresh is not None else None
    return Climb(
        folder=record.folder.name,
        spent=tuple(one for one, _ in steps),
        best=tuple(score for _, score in steps),
        found=found.score if again is None else again,
        test=found.test,
        trainings=trainings,
    )


def _counts(row: CandidateRow, target: int) -> bool:
    """Whether a candidate may be what is found: it has a score, and is within the target."""
    return row.seeds.mean is not None and row.network.cost <= target and row.network.candidate != CONTROL
