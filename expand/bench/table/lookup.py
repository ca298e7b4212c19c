"""The networks of a table with their outcomes, and what a search may see of them.

What a search sees is not what it is judged by. In each replay, the seeds of the table are divided at random:
a search is sent the outcomes of some, and what it finds is judged by those of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expand.bench.table.networks import path_of
from expand.bench.table.rows import read_table
from expand.config.search import from_values
from expand.config.targets import parse_target
from expand.jobs.per_video import pack_scores
from expand.search.base import START, Candidate, Failed, Outcome, Problem, Scored, network_key
from expand.search.remembering import RememberingProblem
from expand.search.setup import problem_of
from expand.system.errors import UserError
from search_spaces.base import Json

_SEEN = 0.6  # the share of a network's trainings that searches see

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """A network of a table, with its trainings in one way.

    Attributes:
        name: its name in the table.
        kinds: as in networks.py, or `control`; one that is drawn may be one that is contracted to, too.
        candidate: the network, without a parent.
        logs: (F,) the logarithms of its factors.
        outcomes: of its trainings, by seed.
        videos: (V,) of each validation video, the mean score over the seeds; None: not known.
    """

    name: str
    kinds: frozenset[str]
    candidate: Candidate
    logs: Array
    outcomes: Mapping[int, Outcome]
    videos: Array | None


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A table, as searches ask it.

    Attributes:
        file: where it was read from.
        problem: of a search from random weights, with the table's targets.
        grown: of a search whose candidates grow from their parents' weights; None: no such trainings.
        scratch: by network, those that were trained from random weights, twice at least.
        by_path: by name, those that were grown, twice at least.
        long: by network, those that were trained at length.
        noise: by way, the standard deviation of the scores of a network's trainings that have learned; 0
            where no network was trained twice.
    """

    file: Path
    problem: Problem
    grown: Problem | None
    scratch: Mapping[object, Entry]
    by_path: Mapping[str, Entry]
    long: Mapping[object, Entry]
    noise: Mapping[str, float]

    @classmethod
    def read(cls, file: Path) -> Lookup:
        """Read a table.

        Raises:
            UserError: it is missing, no table, or has no trainings from random weights.
        """
        rows, facts = read_table(file)
        if "scratch" not in facts["ways"]:
            raise UserError(
                f"a table must have trainings from random weights, which searches are judged by, but {file} "
                "has none: measure them with xpand bench table --way scratch."
            )
        problem = _problem(facts, "scratch")
        scratch = dict[object, Entry]()
        for network in _networks(rows[rows["way"].isin(["scratch", "further"])]):
            entry = _entry(problem, network)
            if len(entry.outcomes) > 1:  # else nothing is left to judge by
                scratch[network_key(problem.space, entry.candidate.point)] = entry
        grown = _problem(facts, "grown") if "grown" in facts["ways"] else None
        by_path = [_entry(problem, network) for network in _networks(rows[rows["way"] == "grown"], "name")]
        at_length = [_entry(problem, network) for network in _networks(rows[rows["way"] == "long"])]
        long = {
            network_key(problem.space, entry.candidate.point): entry
            for entry in at_length
            if mean_score(entry.outcomes.values()) is not None
        }
        return cls(
            file=file,
            problem=problem,
            grown=grown,
            scratch=scratch,
            by_path={entry.name: entry for entry in by_path if len(entry.outcomes) > 1},
            long=long,
            noise={"scratch": _noise(scratch.values()), "grown": _noise(by_path), "long": _noise(at_length)},
        )

    def target(self, named: str | None) -> int:
        """The target that is named, of those of the table; by default the smallest.

        Raises:
            UserError: it is none of them.
        """
        targets = sorted(set(self.problem.targets))
        if named is None:
            return targets[0]
        if (target := parse_target(named)[0]) not in targets:
            known = ", ".join(self.problem.cost.short(one) for one in targets)
            raise UserError(f"--target must be one of the table's, {known}, got {named}.")
        return target

    def entry(self, candidate: Candidate) -> Entry | None:
        """The network of a candidate, trained from random weights; None: the table lacks it."""
        return self.scratch.get(network_key(self.problem.space, candidate.point))

    def grown_entry(self, candidate: Candidate) -> Entry | None:
        """The network of a candidate, grown along the axes that led to it; None: the table lacks it."""
        return self.by_path.get(_name_of(self.problem, candidate))

    def at_length(self, entry: Entry) -> Entry | None:
        """A network as it was trained at length; None: the table has no such training."""
        return self.long.get(network_key(self.problem.space, entry.candidate.point))

    @cached_property
    def video_variance(self) -> float:
        """The variance of a network's mean score, apart from that of others, by the choice of videos."""
        known = [one.videos for one in self.scratch.values() if one.videos is not None]
        if len(known) < 2:
            return 0.0
        means = np.stack(known)  # (networks, V)
        apart = means - means.mean(axis=0)
        return float(np.square(apart).sum() / (apart.size * (apart.shape[1] - 1)))

    def nearest(self, candidate: Candidate, among: Sequence[Entry]) -> Entry:
        """The network that is most like a candidate, by the distance of the logarithms of their factors."""
        logs = _logs(self.problem, candidate.point)
        return min(among, key=lambda one: float(np.square(one.logs - logs).sum()))


def mean_score(outcomes: Iterable[Outcome]) -> float | None:
    """The mean score of trainings; None: none has a score."""
    scores = [one.score for one in outcomes if isinstance(one, Scored)]
    return math.fsum(scores) / len(scores) if scores else None


def seen_of(trainings: int) -> int:
    """How many of a network's trainings searches see; there are two at least."""
    return min(trainings - 1, math.ceil(_SEEN * trainings))


class Sight:
    """What searches see of a table in one replay, and what they are judged by.

    Networks with the same seeds have them divided in the same way, so that candidates that share a seed in
    the table do in the replay.

    Args:
        lookup: the table.
        replay: its number, which seeds all that is drawn.
    """

    def __init__(self, lookup: Lookup, replay: int) -> None:
        self._lookup, self._replay = lookup, replay
        self._divided: dict[tuple[str, frozenset[int]], tuple[list[int], list[int]]] = {}

    def outcome(self, way: str, entry: Entry, number: int, *, longer: bool = False) -> Outcome:
        """The outcome of the n-th training of a network: one of those that are seen, or, beyond them, drawn.

        What is drawn fails or learns nothing as often as what is seen; a score lies around the mean of those
        seen, with the noise of the way. A training that is longer than those of the table, such as that of a
        start that had learned nothing, learns something if any of the network's trainings in the table has.
        """
        if longer:
            learned = [one for one in entry.outcomes.values() if isinstance(one, Scored) and one.learned]
            if learned:
                return learned[number % len(learned)]
        seen, _ = self._seeds(way, entry)
        if number < len(seen):
            return entry.outcomes[seen[number]]
        generator = np.random.default_rng([self._replay, number, *entry.name.encode()])
        like = entry.outcomes[seen[int(generator.integers(len(seen)))]]
        if not isinstance(like, Scored) or not like.learned:
            return like
        scores = [got.score for one in seen if isinstance(got := entry.outcomes[one], Scored) and got.learned]
        score = math.fsum(scores) / len(scores) + self._lookup.noise[way] * float(generator.standard_normal())
        return Scored(score=min(1.0, max(0.0, score)))

    def seen(self, entry: Entry) -> float:
        """The mean score of all that is seen of a network; −∞: all of it failed."""
        seen, _ = self._seeds("scratch", entry)
        score = mean_score(entry.outcomes[one] for one in seen)
        return -math.inf if score is None else score

    def truth(self, entry: Entry) -> float:
        """The mean score of a network trained from random weights with the seeds that no search sees."""
        _, held_out = self._seeds("scratch", entry)
        score = mean_score(entry.outcomes[one] for one in held_out)
        return 0.0 if score is None else score

    def _seeds(self, way: str, entry: Entry) -> tuple[list[int], list[int]]:
        seeds = frozenset(entry.outcomes)
        if (way, seeds) not in self._divided:
            ways = ("scratch", "grown")
            generator = np.random.default_rng([self._replay, ways.index(way), *sorted(seeds)])
            order = [int(one) for one in generator.permutation(sorted(seeds))]
            seen = seen_of(len(order))
            self._divided[way, seeds] = order[:seen], order[seen:]
        return self._divided[way, seeds]


def _problem(facts: Json, way: str) -> Problem:
    """The problem of the searches that a way's trainings are for."""
    config = from_values(facts["ways"][way], "the table")
    problem = problem_of(config, len(facts["data"]["classes"]))
    clips = config.training.clips_of(facts["data"]["train"])
    return RememberingProblem.of(replace(problem, clips=clips))


def _networks(rows: pd.DataFrame, *by: str) -> list[list[Json]]:
    """The rows of each network, in order; by its integers and clips, or by other columns."""
    groups: dict[object, list[Json]] = {}
    for row in rows.to_dict("records"):
        key = tuple(row[name] for name in by or ("architecture", "frames", "stride", "size"))
        groups.setdefault(key, []).append({str(name): value for name, value in row.items()})
    return list(groups.values())


def _entry(problem: Problem, rows: Sequence[Json]) -> Entry:
    """A network from the rows of its trainings."""
    first = rows[0]
    factors = {
        name.removeprefix("factor_"): value for name, value in first.items() if name.startswith("factor_")
    }
    point = problem.space.point_from_json(factors)
    videos = [one["video_scores"] for one in rows if one["video_scores"] is not None]
    return Entry(
        name=first["name"],
        kinds=frozenset((first["kind"], *first["also"].split(", "))),
        candidate=problem.candidate(first["name"], point),
        logs=_logs(problem, point),
        outcomes={row["seed"]: _outcome(row) for row in rows},
        videos=np.mean(np.stack(videos), axis=0) if videos else None,
    )


def _outcome(row: Json) -> Outcome:
    if isinstance(row["failed"], str):
        return Failed(reason=row["failed"])
    scores = row["video_scores"]
    return Scored(
        score=row["score"],
        learned=row["learned"],
        video_scores=None if scores is None else pack_scores(np.asarray(scores, dtype=np.float16)),
    )


def _logs(problem: Problem, point: Any) -> Array:
    factors = problem.space.point_to_json(point)
    logs: Array = np.log(np.array([float(value) for _, value in sorted(factors.items())]))
    return logs


def _noise(entries: Iterable[Entry]) -> float:
    """The standard deviation of a training's score between the seeds of a network, over all networks."""
    squares, freedom = 0.0, 0
    for entry in entries:
        scores = [one.score for one in entry.outcomes.values() if isinstance(one, Scored) and one.learned]
        if len(scores) > 1:
            squares += float(np.var(scores)) * len(scores)
            freedom += len(scores) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def _name_of(problem: Problem, candidate: Candidate) -> str:
    """The name in the table of a candidate of a search that grows networks."""
    parent = candidate.parent
    if parent is None:
        return START  # also where it is trained again for having learned nothing
    grown = "" if parent.name.startswith(START) else _name_of(problem, parent)
    if candidate.axis is not None and candidate.cost < parent.cost:
        return f"{grown} to {problem.cost.short(_target_of(problem, candidate))}"
    return "/".join((*path_of(grown), candidate.name)) if grown else candidate.name


def _target_of(problem: Problem, candidate: Candidate) -> int:
    """The target that a candidate was contracted to."""
    return min(one for one in problem.targets if one >= candidate.cost)
